// SPDX-License-Identifier: MIT
// Mounting with mount(2) alone, where the calls that take descriptors are not to be had. Names are
// those in /proc/self/fd, so a path is still never walked twice: what a descriptor is, is mounted.
//
// Every mount is made in the stage first, out of reach of whoever could rename things in the image,
// gets its flags there, and is moved to its place.
#include "mounts.h"
#include "sys.h"

#define CW_OPTIONS_MAX 1024
#define CW_PATH_MAX 4096
#define CW_PROCFS "/proc/self/fd"
// The four have the same numbers as MS_* and in statfs.
#define CW_FLAGS (MOUNT_ATTR_RDONLY | MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV | MOUNT_ATTR_NOEXEC)

struct name {
    char bytes[48];
};

// "descriptor", or "descriptor/name": good while the working directory is /proc/self/fd.
static const char *name_of(struct name *out, int directory, const char *name) {
    struct cw_text text = CW_TEXT(out->bytes);
    cw_text_add_number(&text, (uint64_t)directory, 1);
    if (name[0] != '\0') cw_text_add(&text, "/");
    cw_text_add(&text, name);
    return out->bytes;
}

static int open_descriptors(struct cw_mounted *mounted, struct cw_fault *fault) {
    struct statfs status;
    mounted->descriptors = (int)CW_TRY(
        fault, "open", sys_openat(AT_FDCWD, CW_PROCFS, O_PATH | O_DIRECTORY | O_CLOEXEC, 0));
    CW_TRY(fault, "fstatfs", sys_fstatfs(mounted->descriptors, &status));
    return status.f_type == PROC_SUPER_MAGIC ? 0 : cw_fail(fault, "fstatfs", -ENOTTY);
}

int cw_legacy_open(struct cw_mounted *mounted, struct cw_fault *fault) {
    cw_at(fault, CW_STEP_MNT, CW_NO_INDEX);
    int error = open_descriptors(mounted, fault);
    if (error < 0) return error;
    // On /proc only until it can be named by the working directory: there always is a /proc.
    CW_TRY(fault, "mount",
           sys_mount("tmpfs", "/proc", "tmpfs", MS_NOSUID | MS_NODEV, "mode=700"));
    mounted->stage = (int)CW_TRY(
        fault, "open", sys_openat(AT_FDCWD, "/proc", O_PATH | O_DIRECTORY | O_CLOEXEC, 0));
    CW_TRY(fault, "fchdir", sys_fchdir(mounted->stage));
    CW_TRY(fault, "mount", sys_mount(".", "/", NULL, MS_MOVE, NULL));
    mounted->attached = true;
    return 0;
}

static int add_flags(int mount, unsigned attributes, struct cw_fault *fault) {
    struct statfs status;
    struct name name;
    // A remount sets what it does not name to off, and the kernel refuses that for what it locked.
    CW_TRY(fault, "fstatfs", sys_fstatfs(mount, &status));
    unsigned long flags = ((unsigned long)status.f_flags | attributes) & CW_FLAGS;
    CW_TRY(fault, "mount",
           sys_mount(NULL, name_of(&name, mount, ""), NULL, MS_REMOUNT | MS_BIND | flags, NULL));
    return 0;
}

int cw_legacy_restrict(const struct cw_mounted *mounted, int mount, unsigned attributes,
                       struct cw_fault *fault) {
    CW_TRY(fault, "fchdir", sys_fchdir(mounted->descriptors));
    return add_flags(mount, attributes, fault);
}

// A file or directory in the stage to mount on.
static int make_place(struct cw_mounted *mounted, bool directory, struct name *name,
                      struct cw_fault *fault) {
    struct cw_text text = CW_TEXT(name->bytes);
    cw_text_add(&text, "cw.");
    cw_text_add_number(&text, mounted->staged++, 1);
    if (directory)
        CW_TRY(fault, "mkdirat", sys_mkdirat(mounted->stage, name->bytes, 0700));
    else
        CW_TRY(fault, "mknodat", sys_mknodat(mounted->stage, name->bytes, S_IFREG | 0600));
    CW_TRY(fault, "fchdir", sys_fchdir(mounted->descriptors));
    return 0;
}

static int open_staged(const struct cw_mounted *mounted, const struct name *name,
                       struct cw_fault *fault) {
    return (int)CW_TRY(fault, "open",
                       sys_openat(mounted->stage, name->bytes, O_PATH | O_NOFOLLOW | O_CLOEXEC, 0));
}

static int move_to(int mount, struct cw_place place, struct cw_fault *fault) {
    struct name from, to;
    if (place.directory < 0) return 0; // the new root: where it is, no path leads either
    CW_TRY(fault, "mount",
           sys_mount(name_of(&from, mount, ""), name_of(&to, place.directory, place.name), NULL,
                     MS_MOVE, NULL));
    return 0;
}

int cw_legacy_fresh(struct cw_mounted *mounted, const char *type, const struct cw_option *options,
                    unsigned attributes, struct cw_place place, struct cw_fault *fault) {
    char data[CW_OPTIONS_MAX];
    struct cw_text text = CW_TEXT(data);
    struct name name, full;
    data[0] = '\0';
    for (const struct cw_option *option = options; option != NULL && option->key != NULL;
         option++) {
        if (option != options) cw_text_add(&text, ",");
        cw_text_add(&text, option->key);
        if (option->value != NULL) cw_text_add(&text, "=");
        if (option->value != NULL) cw_text_add(&text, option->value);
    }
    if (text.full) return cw_fail(fault, "mount", -E2BIG);
    int error = make_place(mounted, true, &name, fault);
    if (error < 0) return error;
    // Read-only only as a mount: the file system itself may be shared (sysfs, mqueue).
    unsigned long flags = attributes & CW_FLAGS & ~(unsigned)MOUNT_ATTR_RDONLY;
    if (attributes & MOUNT_ATTR_STRICTATIME) flags |= MS_STRICTATIME;
    CW_TRY(fault, "mount",
           sys_mount(type, name_of(&full, mounted->stage, name.bytes), type, flags, data));
    int mount = open_staged(mounted, &name, fault);
    if (mount < 0) return mount;
    if (attributes & MOUNT_ATTR_RDONLY) error = add_flags(mount, attributes, fault);
    if (error == 0) error = move_to(mount, place, fault);
    if (error == 0) return mount;
    sys_close(mount);
    return error;
}

struct line {
    unsigned field;
    size_t size;
    char path[CW_PATH_MAX]; // the fifth field, proc_pid_mountinfo(5)
};

// Undoes the \ooo of space, tab, newline and backslash.
static void unescape(char *path) {
    char *out = path;
    while (*path != '\0') {
        bool escaped = path[0] == '\\' && path[1] != '\0' && path[2] != '\0' && path[3] != '\0';
        int value = escaped ? (path[1] - '0') << 6 | (path[2] - '0') << 3 | (path[3] - '0') : *path;
        *out++ = (char)value;
        path += escaped ? 4 : 1;
    }
    *out = '\0';
}

// One line of mountinfo: when it is of a mount below `top`, flags are added to that one too.
static int add_flags_below(int top, const char *prefix, struct line *line, unsigned attributes,
                           struct cw_fault *fault) {
    size_t size = strlen(prefix);
    if (line->size >= sizeof line->path) return cw_fail(fault, "mount", -ENAMETOOLONG);
    line->path[line->size] = '\0';
    unescape(line->path);
    if (line->path[0] != '/' || memcmp(line->path + 1, prefix, size) != 0 ||
        line->path[size + 1] != '/')
        return 0;
    CW_AUTO_FD mount = (int)CW_TRY(
        fault, "openat2",
        sys_openat2(top, line->path + size + 2, O_PATH | O_CLOEXEC,
                    RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS | RESOLVE_NO_MAGICLINKS));
    return add_flags(mount, attributes, fault);
}

static int add_flags_to_all_below(const struct cw_mounted *mounted, int top, const char *prefix,
                                  unsigned attributes, struct cw_fault *fault) {
    char buffer[4096];
    struct line line = {0};
    CW_AUTO_FD mounts = (int)CW_TRY(
        fault, "open", sys_openat(mounted->descriptors, "../mountinfo", O_RDONLY | O_CLOEXEC, 0));
    for (;;) {
        long size = CW_TRY(fault, "read", sys_read(mounts, buffer, sizeof buffer));
        if (size == 0) return 0;
        for (long i = 0; i < size; i++) {
            if (buffer[i] == '\n') {
                int error = add_flags_below(top, prefix, &line, attributes, fault);
                if (error < 0) return error;
                line.field = 0;
                line.size = 0;
            } else if (buffer[i] == ' ') {
                line.field++;
            } else if (line.field == 4 && line.size < sizeof line.path) {
                line.path[line.size++] = buffer[i];
            }
        }
    }
}

int cw_legacy_attach(struct cw_mounted *mounted, int *tree, unsigned flags, unsigned attributes,
                     struct cw_place place, struct cw_fault *fault) {
    struct statx status;
    struct name name, from, full;
    CW_TRY(fault, "statx", sys_statx(*tree, "", AT_EMPTY_PATH, &status));
    int error = make_place(mounted, (status.stx_mode & S_IFMT) == S_IFDIR, &name, fault);
    if (error < 0) return error;
    CW_TRY(fault, "mount",
           sys_mount(name_of(&from, *tree, ""), name_of(&full, mounted->stage, name.bytes), NULL,
                     MS_BIND | (flags & AT_RECURSIVE ? MS_REC : 0), NULL));
    int mount = open_staged(mounted, &name, fault);
    if (mount < 0) return mount;
    sys_close(*tree);
    *tree = mount;
    if (attributes != 0) error = add_flags(mount, attributes, fault);
    if (error == 0 && attributes != 0 && flags & AT_RECURSIVE)
        error = add_flags_to_all_below(mounted, mount, name.bytes, attributes, fault);
    return error == 0 ? move_to(mount, place, fault) : error;
}
