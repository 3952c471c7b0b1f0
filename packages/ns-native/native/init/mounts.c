// SPDX-License-Identifier: MIT
#include "mounts.h"

#include "sys.h"
#include "target.h"

#define CW_ATTRIBUTES_KERNEL_FS (MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV | MOUNT_ATTR_NOEXEC)

static unsigned attributes_of(const struct cw_mount *mount) {
    unsigned attributes = 0;
    if (mount->flags & CW_MOUNT_FLAG_READONLY) attributes |= MOUNT_ATTR_RDONLY;
    if (mount->flags & CW_MOUNT_FLAG_NOSUID) attributes |= MOUNT_ATTR_NOSUID;
    if (mount->flags & CW_MOUNT_FLAG_NODEV) attributes |= MOUNT_ATTR_NODEV;
    if (mount->flags & CW_MOUNT_FLAG_NOEXEC) attributes |= MOUNT_ATTR_NOEXEC;
    return attributes;
}

int cw_mount_fresh(const char *type, const struct cw_option *options, unsigned attributes,
                   int target, struct cw_fault *fault) {
    CW_AUTO_FD context = (int)CW_TRY(fault, "fsopen", sys_fsopen(type));
    for (const struct cw_option *option = options; option != NULL && option->key != NULL; option++)
        CW_TRY(fault, "fsconfig",
               sys_fsconfig(context,
                            option->value == NULL ? FSCONFIG_SET_FLAG : FSCONFIG_SET_STRING,
                            option->key, option->value));
    // What mount(8) and df(1) show in their first column.
    CW_TRY(fault, "fsconfig", sys_fsconfig(context, FSCONFIG_SET_STRING, "source", type));
    CW_TRY(fault, "fsconfig", sys_fsconfig(context, FSCONFIG_CMD_CREATE, NULL, NULL));
    int mount = (int)CW_TRY(fault, "fsmount", sys_fsmount(context, attributes));
    long error = sys_move_mount(mount, target);
    if (error < 0) {
        sys_close(mount);
        return cw_fail(fault, "move_mount", error);
    }
    return mount;
}

int cw_mount_bind(int source, int target, unsigned tree_flags, uint64_t attributes,
                  struct cw_fault *fault) {
    CW_AUTO_FD tree = (int)CW_TRY(
        fault, "open_tree",
        sys_open_tree(source, "",
                      tree_flags | AT_EMPTY_PATH | OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC));
    // Only ever adds flags, so what the kernel locked when the mount was inherited stays locked.
    if (attributes != 0)
        CW_TRY(fault, "mount_setattr", sys_mount_setattr(tree, tree_flags, attributes));
    CW_TRY(fault, "move_mount", sys_move_mount(tree, target));
    return 0;
}

int cw_device_open(const char *path, unsigned major, unsigned minor, struct cw_fault *fault) {
    struct statx status;
    int fd = (int)CW_TRY(fault, "open",
                         sys_openat(AT_FDCWD, path, O_PATH | O_NOFOLLOW | O_CLOEXEC, 0));
    long error = sys_statx(fd, "", AT_EMPTY_PATH, &status);
    if (error == 0 && ((status.stx_mode & S_IFMT) != S_IFCHR || status.stx_rdev_major != major ||
                       status.stx_rdev_minor != minor))
        error = -ENODEV;
    if (error < 0) {
        sys_close(fd);
        return cw_fail(fault, "statx", error);
    }
    return fd;
}

static int mount_tmpfs(const struct cw_mount *mount, int target, struct cw_fault *fault) {
    char size[24] = "";
    char mode[8] = "";
    struct cw_option options[3] = {{0}};
    unsigned count = 0;
    if (mount->size != 0) {
        struct cw_text text = CW_TEXT(size);
        cw_text_add_number(&text, mount->size, 1);
        options[count++] = (struct cw_option){"size", size};
    }
    if (mount->mode != CW_MOUNT_MODE_DEFAULT) {
        for (int i = 0; i < 4; i++) mode[i] = (char)('0' + (mount->mode >> (9 - 3 * i) & 7));
        options[count++] = (struct cw_option){"mode", mode};
    }
    return cw_mount_fresh("tmpfs", options, attributes_of(mount), target, fault);
}

// fsconfig takes values of less than 256 bytes: as many layers as descriptor numbers fit.
#define CW_OVERLAY_LAYERS_MAX 66

// As with the root's overlay, layers are named by descriptors below /proc/self/fd.
static int mount_overlay(const struct cw_mount *mount, int target, struct cw_fault *fault) {
    int opened[CW_OVERLAY_LAYERS_MAX];
    char upper[12], work[12], lower[256];
    struct cw_text texts[] = {CW_TEXT(upper), CW_TEXT(work), CW_TEXT(lower)};
    if (mount->layer_count > CW_OVERLAY_LAYERS_MAX) return cw_fail(fault, "fsconfig", -E2BIG);
    const char *path = mount->layers;
    for (uint32_t i = 0; i < mount->layer_count; i++) {
        opened[i] = (int)CW_TRY(
            fault, "open", sys_openat(AT_FDCWD, path, O_PATH | O_DIRECTORY | O_CLOEXEC, 0));
        path += strlen(path) + 1;
    }
    cw_text_add_number(&texts[0], (uint64_t)opened[0], 1);
    cw_text_add_number(&texts[1], (uint64_t)opened[1], 1);
    for (uint32_t i = mount->layer_count; i > 2; i--) {
        if (i < mount->layer_count) cw_text_add(&texts[2], ":");
        cw_text_add_number(&texts[2], (uint64_t)opened[i - 1], 1);
    }
    if (texts[2].full) return cw_fail(fault, "fsconfig", -E2BIG);
    struct cw_option options[] = {{"userxattr", NULL}, {"upperdir", upper}, {"workdir", work},
                                  {"lowerdir", lower}, {NULL, NULL},        {NULL, NULL}};
    if (mount->flags & CW_MOUNT_FLAG_VOLATILE) options[4].key = "volatile";
    CW_TRY(fault, "chdir", sys_chdir("/proc/self/fd"));
    int mounted = cw_mount_fresh("overlay", options, attributes_of(mount), target, fault);
    CW_TRY(fault, "chdir", sys_chdir("/"));
    for (uint32_t i = 0; i < mount->layer_count; i++) sys_close(opened[i]);
    return mounted;
}

static bool is_or_is_below(const char *path, const char *top) {
    size_t size = strlen(top);
    return strlen(path) >= size && memcmp(path, top, size) == 0 &&
           (path[size] == '\0' || path[size] == '/');
}

// The places whose names are in every program's head: an image must not redirect them.
static bool is_fixed_place(const char *path) {
    return is_or_is_below(path, "/proc") || is_or_is_below(path, "/sys") ||
           is_or_is_below(path, "/dev");
}

static int mount_bind(const struct cw_mount *mount, int root, struct cw_fault *fault) {
    struct statx status;
    CW_AUTO_FD source = (int)CW_TRY(
        fault, "open", sys_openat(AT_FDCWD, mount->source, O_PATH | O_CLOEXEC, 0));
    CW_TRY(fault, "statx", sys_statx(source, "", AT_EMPTY_PATH, &status));
    bool directory = (status.stx_mode & S_IFMT) == S_IFDIR;
    CW_AUTO_FD target = (int)CW_TRY(
        fault, "openat2",
        cw_target_make(root, mount->destination, directory ? CW_TARGET_DIRECTORY : CW_TARGET_FILE,
                       is_fixed_place(mount->destination)));
    return cw_mount_bind(source, target, AT_RECURSIVE, attributes_of(mount), fault);
}

static int mount_one(const struct cw_config *config, const struct cw_mount *mount,
                     struct cw_mounted *mounted, struct cw_fault *fault) {
    if (mount->kind == CW_MOUNT_BIND) return mount_bind(mount, mounted->root, fault);
    CW_AUTO_FD target = (int)CW_TRY(
        fault, "openat2",
        cw_target_make(mounted->root, mount->destination, CW_TARGET_DIRECTORY,
                       is_fixed_place(mount->destination)));
    unsigned attributes = attributes_of(mount);
    switch (mount->kind) {
    case CW_MOUNT_TMPFS:
        return mount_tmpfs(mount, target, fault);
    case CW_MOUNT_OVERLAY:
        return mount_overlay(mount, target, fault);
    case CW_MOUNT_PROC:
        return cw_mount_fresh("proc", NULL, attributes | CW_ATTRIBUTES_KERNEL_FS, target, fault);
    case CW_MOUNT_SYSFS:
        return cw_mount_fresh("sysfs", NULL, attributes | CW_ATTRIBUTES_KERNEL_FS, target, fault);
    case CW_MOUNT_MQUEUE:
        return cw_mount_fresh("mqueue", NULL, attributes | CW_ATTRIBUTES_KERNEL_FS, target, fault);
    case CW_MOUNT_CGROUP:
        return cw_mount_fresh("cgroup2", NULL, attributes | CW_ATTRIBUTES_KERNEL_FS, target,
                              fault);
    default:
        return cw_mount_dev(config, mount, target, mounted, fault);
    }
}

int cw_mounts(const struct cw_config *config, struct cw_mounted *mounted, struct cw_fault *fault) {
    for (uint32_t i = 0; i < config->mount_count; i++) {
        cw_at(fault, CW_STEP_MNT, i);
        int result = mount_one(config, &config->mounts[i], mounted, fault);
        if (result < 0) return result;
        if (result > 0) sys_close(result);
    }
    return 0;
}
