// SPDX-License-Identifier: MIT
// Paths that the container sees empty, and paths that it sees read-only.
#include "mounts.h"
#include "sys.h"
#include "target.h"

static bool is_missing(int error) { return error == -ENOENT || error == -ENOTDIR; }

struct masks {
    struct cw_mounted *mounted;
    int null;      // our own, verified /dev/null (CVE-2025-31133)
    int directory; // the one empty read-only tmpfs, once it is attached somewhere
};

static int mask_directory(struct masks *masks, struct cw_place place, struct cw_fault *fault) {
    static const struct cw_option options[] = {{"mode", "555"}, {"size", "4k"}, {0}};
    unsigned attributes =
        MOUNT_ATTR_RDONLY | MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV | MOUNT_ATTR_NOEXEC;
    // A detached mount cannot be cloned before Linux 6.15, an attached one can.
    if (masks->directory >= 0)
        return cw_mount_bind(masks->mounted, masks->directory, 0, 0, place, fault);
    masks->directory = cw_mount_fresh(masks->mounted, "tmpfs", options, attributes, place, fault);
    return masks->directory < 0 ? masks->directory : 0;
}

static int mask_one(struct masks *masks, const char *path, struct cw_fault *fault) {
    struct statx status;
    CW_AUTO_FD target = cw_target_find(masks->mounted->root, path);
    if (is_missing(target)) return 0;
    if (target < 0) return cw_fail(fault, "openat2", target);
    CW_TRY(fault, "statx", sys_statx(target, "", AT_EMPTY_PATH, &status));
    struct cw_place place = {.directory = target, .name = ""};
    if ((status.stx_mode & S_IFMT) == S_IFDIR) return mask_directory(masks, place, fault);
    return cw_mount_bind(masks->mounted, masks->null, 0, 0, place, fault);
}

int cw_masks(const struct cw_config *config, struct cw_mounted *mounted, struct cw_fault *fault) {
    struct masks masks = {.mounted = mounted, .directory = -1};
    if (config->masked.count == 0) return 0;
    cw_at(fault, CW_STEP_MASK, CW_NO_INDEX);
    CW_AUTO_FD null = (int)CW_TRY(
        fault, "open", sys_openat(AT_FDCWD, "/dev/null", O_PATH | O_NOFOLLOW | O_CLOEXEC, 0));
    int error = cw_device_check(null, 1, 3, fault);
    masks.null = null;
    for (uint32_t i = 0; i < config->masked.count && error == 0; i++) {
        cw_at(fault, CW_STEP_MASK, i);
        error = mask_one(&masks, config->masked.items[i], fault);
    }
    cw_close(&masks.directory);
    return error;
}

int cw_readonly_paths(const struct cw_config *config, struct cw_mounted *mounted,
                      struct cw_fault *fault) {
    for (uint32_t i = 0; i < config->readonly.count; i++) {
        cw_at(fault, CW_STEP_RO, i);
        CW_AUTO_FD target = cw_target_find(mounted->root, config->readonly.items[i]);
        if (is_missing(target)) continue;
        if (target < 0) return cw_fail(fault, "openat2", target);
        struct cw_place place = {.directory = target, .name = ""};
        int error =
            cw_mount_bind(mounted, target, AT_RECURSIVE, MOUNT_ATTR_RDONLY, place, fault);
        if (error < 0) return error;
    }
    return 0;
}
