// SPDX-License-Identifier: MIT
// Mounting by descriptor: fsopen, open_tree, move_mount (Linux 5.2) and mount_setattr (5.12).
#include "mounts.h"
#include "sys.h"

// Kernels of before answer ENOSYS; so do sandboxes whose filter is older than the call, or EPERM.
static bool is_refused(long error) { return error == -ENOSYS || error == -EPERM; }

int cw_mounts_open(const struct cw_config *config, struct cw_mounted *mounted,
                   struct cw_fault *fault) {
    if (!(config->namespaces & CLONE_NEWNS)) return 0;
    // Arguments with which neither can do anything.
    mounted->legacy = is_refused(sys_fsopen(NULL)) ||
                      is_refused(sys_mount_setattr(-1, 0, MOUNT_ATTR_RDONLY));
    if (mounted->legacy) return cw_legacy_open(mounted, fault);
    for (uint32_t i = 0; i < config->mount_count; i++)
        if (config->mounts[i].kind == CW_MOUNT_FILE) return cw_stage_open(mounted, fault);
    return 0;
}

static long attach(int mount, struct cw_place place) {
    if (place.directory < 0) return sys_move_mount(mount, AT_FDCWD, place.name, 0);
    return sys_move_mount(mount, place.directory, place.name, MOVE_MOUNT_T_EMPTY_PATH);
}

static int make_fresh(const char *type, const struct cw_option *options, unsigned attributes,
                      struct cw_fault *fault) {
    CW_AUTO_FD context = (int)CW_TRY(fault, "fsopen", sys_fsopen(type));
    for (const struct cw_option *option = options; option != NULL && option->key != NULL; option++)
        CW_TRY(fault, "fsconfig",
               sys_fsconfig(context,
                            option->value == NULL ? FSCONFIG_SET_FLAG : FSCONFIG_SET_STRING,
                            option->key, option->value));
    // What mount(8) and df(1) show in their first column.
    CW_TRY(fault, "fsconfig", sys_fsconfig(context, FSCONFIG_SET_STRING, "source", type));
    CW_TRY(fault, "fsconfig", sys_fsconfig(context, FSCONFIG_CMD_CREATE, NULL, NULL));
    return (int)CW_TRY(fault, "fsmount", sys_fsmount(context, attributes));
}

int cw_mount_fresh(struct cw_mounted *mounted, const char *type, const struct cw_option *options,
                   unsigned attributes, struct cw_place place, struct cw_fault *fault) {
    if (mounted->legacy) return cw_legacy_fresh(mounted, type, options, attributes, place, fault);
    int mount = make_fresh(type, options, attributes, fault);
    if (mount < 0 || place.name == NULL) return mount;
    long error = attach(mount, place);
    if (error < 0) {
        sys_close(mount);
        return cw_fail(fault, "move_mount", error);
    }
    return mount;
}

int cw_mount_tmpfs(struct cw_mounted *mounted, uint64_t size, uint32_t mode, unsigned attributes,
                   struct cw_place place, struct cw_fault *fault) {
    char digits[24] = "";
    char octal[8] = "";
    struct cw_option options[3] = {{0}};
    unsigned count = 0;
    if (size != 0) {
        struct cw_text text = CW_TEXT(digits);
        cw_text_add_number(&text, size, 1);
        options[count++] = (struct cw_option){"size", digits};
    }
    if (mode != CW_MOUNT_MODE_DEFAULT) {
        for (int i = 0; i < 4; i++) octal[i] = (char)('0' + (mode >> (9 - 3 * i) & 7));
        options[count++] = (struct cw_option){"mode", octal};
    }
    return cw_mount_fresh(mounted, "tmpfs", options, attributes, place, fault);
}

int cw_bind_open(const struct cw_mounted *mounted, int directory, const char *path,
                 unsigned flags) {
    unsigned all = flags | (path[0] == '\0' ? AT_EMPTY_PATH : 0);
    if (!mounted->legacy)
        return (int)sys_open_tree(directory, path, all | OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC);
    if (path[0] == '\0') return (int)sys_fcntl(directory, F_DUPFD_CLOEXEC, 3);
    int follow = flags & AT_SYMLINK_NOFOLLOW ? O_NOFOLLOW : 0;
    return (int)sys_openat(directory, path, O_PATH | O_CLOEXEC | follow, 0);
}

int cw_bind_attach(struct cw_mounted *mounted, int *tree, unsigned flags, unsigned attributes,
                   struct cw_place place, struct cw_fault *fault) {
    if (mounted->legacy) return cw_legacy_attach(mounted, tree, flags, attributes, place, fault);
    // Only ever adds flags, so what the kernel locked when the mount was inherited stays locked.
    if (attributes != 0)
        CW_TRY(fault, "mount_setattr", sys_mount_setattr(*tree, flags, attributes));
    CW_TRY(fault, "move_mount", attach(*tree, place));
    return 0;
}

int cw_mount_bind(struct cw_mounted *mounted, int source, unsigned flags, unsigned attributes,
                  struct cw_place place, struct cw_fault *fault) {
    CW_AUTO_FD tree = (int)CW_TRY(fault, "open_tree", cw_bind_open(mounted, source, "", flags));
    return cw_bind_attach(mounted, &tree, flags, attributes, place, fault);
}

int cw_mount_restrict(const struct cw_mounted *mounted, int mount, unsigned attributes,
                      struct cw_fault *fault) {
    if (mounted->legacy) return cw_legacy_restrict(mounted, mount, attributes, fault);
    CW_TRY(fault, "mount_setattr", sys_mount_setattr(mount, 0, attributes));
    return 0;
}

int cw_device_check(int device, unsigned major, unsigned minor, struct cw_fault *fault) {
    struct statx status;
    CW_TRY(fault, "statx", sys_statx(device, "", AT_EMPTY_PATH, &status));
    bool same = (status.stx_mode & S_IFMT) == S_IFCHR && status.stx_rdev_major == major &&
                status.stx_rdev_minor == minor;
    return same ? 0 : cw_fail(fault, "statx", -ENODEV);
}
