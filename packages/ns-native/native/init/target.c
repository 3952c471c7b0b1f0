// SPDX-License-Identifier: MIT
#include "target.h"

#include "sys.h"
#include "text.h"

#define CW_PATH_MAX 4096

// RESOLVE_IN_ROOT answers EAGAIN when a rename elsewhere on the system made its ".." check unsure.
static int open_inside(int root, const char *path, uint64_t flags, uint64_t resolve) {
    for (int attempt = 0;; attempt++) {
        int fd = (int)sys_openat2(root, path, flags | O_PATH | O_CLOEXEC,
                                  resolve | RESOLVE_IN_ROOT | RESOLVE_NO_MAGICLINKS);
        if (fd != -EAGAIN || attempt == 128) return fd;
    }
}

int cw_target_find(int root, const char *path) { return open_inside(root, path, 0, 0); }

static int make_one(int parent, const char *name, enum cw_target_kind kind) {
    if (kind == CW_TARGET_DIRECTORY) return (int)sys_mkdirat(parent, name, 0755);
    return (int)sys_mknodat(parent, name, S_IFREG | 0644);
}

static bool is_symlink(int parent, const char *name) {
    struct statx status;
    return sys_statx(parent, name, AT_SYMLINK_NOFOLLOW, &status) == 0 &&
           (status.stx_mode & S_IFMT) == S_IFLNK;
}

// The last component is missing, or is a symbolic link to nowhere: an image's /etc/resolv.conf
// often is. A dangling link is replaced, never followed to where it would create something.
static int make_last(int parent, const char *name, enum cw_target_kind kind, bool no_symlinks) {
    int error = make_one(parent, name, kind);
    if (error == -EEXIST && !no_symlinks && is_symlink(parent, name)) {
        error = (int)sys_unlinkat(parent, name, 0);
        if (error == 0) error = make_one(parent, name, kind);
    }
    if (error < 0 && error != -EEXIST) return error;
    return (int)sys_openat(parent, name, O_PATH | O_NOFOLLOW | O_CLOEXEC, 0);
}

// Makes the directories of a path that are missing, from the top.
static int make_directories(int root, const char *path, size_t size, uint64_t resolve) {
    char prefix[CW_PATH_MAX];
    CW_AUTO_FD parent = open_inside(root, "/", O_DIRECTORY, 0);
    if (parent < 0) return parent;
    for (size_t end = 1; end <= size; end++) {
        if (end < size && path[end] != '/') continue;
        if (path[end - 1] == '/') continue;
        memcpy(prefix, path, end);
        prefix[end] = '\0';
        int next = open_inside(root, prefix, O_DIRECTORY, resolve);
        if (next == -ENOENT) {
            const char *name = cw_last_component(prefix);
            int error = (int)sys_mkdirat(parent, name, 0755);
            if (error < 0) return error == -EEXIST ? -ENOENT : error;
            next = (int)sys_openat(parent, name, O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC, 0);
        }
        if (next < 0) return next;
        cw_close(&parent);
        parent = next;
    }
    int result = parent;
    parent = -1;
    return result;
}

// The directory that `path` is in, made when missing; `name` is what it is called there. It may be
// `root` itself: to be closed by close_parent.
static int make_parent(int root, const char *path, char name[CW_PATH_MAX], uint64_t resolve) {
    size_t size = strlen(path);
    if (size >= CW_PATH_MAX) return -ENAMETOOLONG;
    while (size > 1 && path[size - 1] == '/') size--;
    memcpy(name, path, size);
    name[size] = '\0';
    size_t parent = (size_t)(cw_last_component(name) - name);
    while (parent > 1 && name[parent - 1] == '/') parent--;
    char last[CW_PATH_MAX];
    memcpy(last, cw_last_component(name), strlen(cw_last_component(name)) + 1);
    name[parent] = '\0';
    int fd = parent == 1 ? root : open_inside(root, name, O_DIRECTORY, resolve);
    if (fd == -ENOENT) fd = make_directories(root, name, parent, resolve);
    memcpy(name, last, strlen(last) + 1);
    return fd;
}

static void close_parent(int parent, int root) {
    if (parent >= 0 && parent != root) sys_close(parent);
}

int cw_target_make(int root, const char *path, enum cw_target_kind kind, bool no_symlinks) {
    char name[CW_PATH_MAX];
    uint64_t resolve = no_symlinks ? RESOLVE_NO_SYMLINKS : 0;
    int found = open_inside(root, path, 0, resolve);
    if (found != -ENOENT) return found;
    int parent = make_parent(root, path, name, resolve);
    if (parent < 0) return parent;
    int made = make_last(parent, name, kind, no_symlinks);
    close_parent(parent, root);
    return made;
}

int cw_target_link(int root, const char *path, const char *text, bool no_symlinks) {
    char name[CW_PATH_MAX];
    char there[CW_PATH_MAX];
    int parent = make_parent(root, path, name, no_symlinks ? RESOLVE_NO_SYMLINKS : 0);
    if (parent < 0) return parent;
    int error = (int)sys_symlinkat(text, parent, name);
    long size = error == -EEXIST ? sys_readlinkat(parent, name, there, sizeof there) : -1;
    close_parent(parent, root);
    if (error != -EEXIST) return error;
    bool same = size == (long)strlen(text) && memcmp(there, text, (size_t)size) == 0;
    return same ? 0 : error;
}
