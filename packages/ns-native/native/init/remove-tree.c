// SPDX-License-Identifier: MIT
#include "remove-tree.h"

#include "sys.h"
#include "text.h"

#define CW_PATH_MAX 4096
// Directories held open at once; what lies deeper is first moved up to the top.
#define CW_DEPTH_MAX 16

struct removal {
    int top;          // the directory that is being emptied
    uint64_t counter; // for names of what is moved up
    bool progress;    // something went away, or up
};

static int empty_directory(struct removal *removal, int directory, int depth);

static int open_below(int parent, const char *name) {
    uint64_t resolve = RESOLVE_NO_SYMLINKS | RESOLVE_NO_XDEV | RESOLVE_BENEATH;
    uint64_t flags = O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC;
    int fd = (int)sys_openat2(parent, name, flags, resolve);
    if (fd != -EACCES) return fd;
    // A directory of mode 0000 and no CAP_DAC_OVERRIDE: it is ours, so we may change that.
    if (sys_fchmodat(parent, name, 0700) < 0) return fd;
    return (int)sys_openat2(parent, name, flags, resolve);
}

static int move_up(struct removal *removal, int parent, const char *name) {
    char unique[32];
    struct cw_text text = CW_TEXT(unique);
    cw_text_add(&text, ".cromwell-");
    cw_text_add_number(&text, removal->counter++, 1);
    int error = (int)sys_renameat(parent, name, removal->top, unique);
    if (error == 0) removal->progress = true;
    return error == -EEXIST || error == -ENOTEMPTY ? move_up(removal, parent, name) : error;
}

static int remove_one(struct removal *removal, int parent, const struct cw_entry *entry, int depth) {
    int error = (int)sys_unlinkat(parent, entry->name, 0);
    if (error == 0) removal->progress = true;
    if (error != -EISDIR && error != -EPERM) return error == -ENOENT ? 0 : error;
    error = (int)sys_unlinkat(parent, entry->name, AT_REMOVEDIR);
    if (error == 0) removal->progress = true;
    if (error != -ENOTEMPTY && error != -EEXIST) return error;
    if (depth == CW_DEPTH_MAX) return move_up(removal, parent, entry->name);
    CW_AUTO_FD directory = open_below(parent, entry->name);
    if (directory < 0) return directory;
    error = empty_directory(removal, directory, depth + 1);
    if (error < 0) return error;
    error = (int)sys_unlinkat(parent, entry->name, AT_REMOVEDIR);
    return error == -ENOTEMPTY ? 0 : error;
}

static bool is_dot(const char *name) { return cw_same(name, ".") || cw_same(name, ".."); }

static int empty_directory(struct removal *removal, int directory, int depth) {
    _Alignas(8) uint8_t buffer[2048];
    int first_error = 0;
    long size;
    while ((size = sys_getdents64(directory, buffer, sizeof buffer)) > 0) {
        for (long at = 0; at < size;) {
            const struct cw_entry *entry = (const struct cw_entry *)(const void *)(buffer + at);
            at += entry->size;
            if (is_dot(entry->name)) continue;
            int error = remove_one(removal, directory, entry, depth);
            if (error < 0 && first_error == 0) first_error = error;
        }
    }
    return size < 0 ? (int)size : first_error;
}

static int remove_directory(int parent, const char *name) {
    struct removal removal = {0};
    for (;;) {
        CW_AUTO_FD top = open_below(parent, name);
        if (top < 0) return top;
        removal.top = top;
        removal.progress = false;
        int error = empty_directory(&removal, top, 0);
        if (error < 0) return error;
        error = (int)sys_unlinkat(parent, name, AT_REMOVEDIR);
        if (error != -ENOTEMPTY || !removal.progress) return error;
    }
}

int cw_remove_tree(const char *path) {
    char copy[CW_PATH_MAX];
    size_t size = strlen(path);
    while (size > 1 && path[size - 1] == '/') size--;
    if (size <= 1 || size >= sizeof copy) return -EINVAL;
    memcpy(copy, path, size);
    copy[size] = '\0';
    const char *name = path + (cw_last_component(copy) - copy);
    char last[256];
    struct cw_text text = CW_TEXT(last);
    cw_text_add(&text, copy + (name - path));
    if (text.full || is_dot(last)) return -EINVAL;
    copy[name - path] = '\0';

    CW_AUTO_FD parent =
        (int)sys_openat(AT_FDCWD, copy, O_RDONLY | O_DIRECTORY | O_CLOEXEC, 0);
    if (parent < 0) return parent == -ENOENT ? 0 : parent;
    int error = (int)sys_unlinkat(parent, last, 0);
    if (error == -EISDIR || error == -EPERM) error = remove_directory(parent, last);
    return error == -ENOENT ? 0 : error;
}
