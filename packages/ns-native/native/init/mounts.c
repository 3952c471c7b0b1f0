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

// fsconfig takes values of less than 256 bytes: as many layers as descriptor numbers fit.
#define CW_OVERLAY_LAYERS_MAX 66

// As with the root's overlay, layers are named by descriptors below /proc/self/fd.
static int mount_overlay(struct cw_mounted *mounted, const struct cw_mount *mount, int target,
                         struct cw_fault *fault) {
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
    struct cw_place place = {.directory = target, .name = ""};
    int result = cw_mount_fresh(mounted, "overlay", options, attributes_of(mount), place, fault);
    CW_TRY(fault, "chdir", sys_chdir("/"));
    for (uint32_t i = 0; i < mount->layer_count; i++) sys_close(opened[i]);
    return result;
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

// Puts what cw_bind_open gave onto the destination, made to be of the same kind.
static int attach(struct cw_mounted *mounted, const struct cw_mount *mount, int *tree,
                  unsigned flags, struct cw_fault *fault) {
    struct statx status;
    CW_TRY(fault, "statx", sys_statx(*tree, "", AT_EMPTY_PATH, &status));
    bool directory = (status.stx_mode & S_IFMT) == S_IFDIR;
    CW_AUTO_FD target = (int)CW_TRY(
        fault, "openat2",
        cw_target_make(mounted->root, mount->destination,
                       directory ? CW_TARGET_DIRECTORY : CW_TARGET_FILE,
                       is_fixed_place(mount->destination)));
    struct cw_place place = {.directory = target, .name = ""};
    return cw_bind_attach(mounted, tree, flags, attributes_of(mount), place, fault);
}

static int mount_bind(struct cw_mounted *mounted, const struct cw_mount *mount,
                      struct cw_fault *fault) {
    unsigned flags = mount->flags & CW_MOUNT_FLAG_TOP_ONLY ? 0 : AT_RECURSIVE;
    CW_AUTO_FD tree = (int)CW_TRY(fault, "open_tree",
                                  cw_bind_open(mounted, AT_FDCWD, mount->source, flags));
    return attach(mounted, mount, &tree, flags, fault);
}

static int mount_file(struct cw_mounted *mounted, const struct cw_mount *mount,
                      struct cw_fault *fault) {
    CW_AUTO_FD tree = cw_stage_file(mounted, mount, fault);
    return tree < 0 ? tree : attach(mounted, mount, &tree, 0, fault);
}

static int mount_fs(struct cw_mounted *mounted, const char *type, const struct cw_mount *mount,
                    int target, struct cw_fault *fault) {
    struct cw_place place = {.directory = target, .name = ""};
    unsigned attributes = attributes_of(mount) | CW_ATTRIBUTES_KERNEL_FS;
    return cw_mount_fresh(mounted, type, NULL, attributes, place, fault);
}

static int mount_devpts(const struct cw_config *config, const struct cw_mount *mount, int target,
                        struct cw_mounted *mounted, struct cw_fault *fault) {
    struct cw_place place = {.directory = target, .name = ""};
    int pts = cw_mount_pts(config, mounted, attributes_of(mount), place, fault);
    if (pts < 0 || !cw_same(mount->destination, "/dev/pts")) return pts;
    cw_close(&mounted->pts);
    mounted->pts = pts;
    return 0;
}

static int mount_one(const struct cw_config *config, const struct cw_mount *mount,
                     struct cw_mounted *mounted, struct cw_fault *fault) {
    bool fixed = is_fixed_place(mount->destination);
    if (mount->kind == CW_MOUNT_BIND) return mount_bind(mounted, mount, fault);
    if (mount->kind == CW_MOUNT_FILE) return mount_file(mounted, mount, fault);
    if (mount->kind == CW_MOUNT_SYMLINK) {
        CW_TRY(fault, "symlinkat",
               cw_target_link(mounted->root, mount->destination, mount->source, fixed));
        return 0;
    }
    CW_AUTO_FD target = (int)CW_TRY(
        fault, "openat2",
        cw_target_make(mounted->root, mount->destination, CW_TARGET_DIRECTORY, fixed));
    struct cw_place place = {.directory = target, .name = ""};
    switch (mount->kind) {
    case CW_MOUNT_TMPFS:
        return cw_mount_tmpfs(mounted, mount->size, mount->mode, attributes_of(mount), place,
                              fault);
    case CW_MOUNT_OVERLAY:
        return mount_overlay(mounted, mount, target, fault);
    case CW_MOUNT_PROC:
        return mount_fs(mounted, "proc", mount, target, fault);
    case CW_MOUNT_SYSFS:
        return mount_fs(mounted, "sysfs", mount, target, fault);
    case CW_MOUNT_MQUEUE:
        return mount_fs(mounted, "mqueue", mount, target, fault);
    case CW_MOUNT_CGROUP:
        return mount_fs(mounted, "cgroup2", mount, target, fault);
    case CW_MOUNT_DEVPTS:
        return mount_devpts(config, mount, target, mounted, fault);
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
