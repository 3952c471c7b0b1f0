// SPDX-License-Identifier: MIT
#ifndef CW_MOUNTS_H
#define CW_MOUNTS_H

#include "config.h"
#include "fault.h"

struct cw_option {
    const char *key;
    const char *value; // NULL for a flag
};

// What the mounts leave behind for later steps; -1 when there is none.
struct cw_mounted {
    int root; // O_PATH, the new root (or the caller's)
    int pts;  // the container's own devpts
};

// Every entry of the configuration's mount list, in order.
int cw_mounts(const struct cw_config *config, struct cw_mounted *mounted, struct cw_fault *fault);

// A new file system put onto `target`; returns a descriptor of it. `options` ends in a NULL key.
int cw_mount_fresh(const char *type, const struct cw_option *options, unsigned attributes,
                   int target, struct cw_fault *fault);

// A bind mount of what `source` is, put onto `target`.
int cw_mount_bind(int source, int target, unsigned tree_flags, uint64_t attributes,
                  struct cw_fault *fault);

// The character device of the host, after checking that it is that device.
int cw_device_open(const char *path, unsigned major, unsigned minor, struct cw_fault *fault);

// A minimal /dev onto `target` (dev.c).
int cw_mount_dev(const struct cw_config *config, const struct cw_mount *mount, int target,
                 struct cw_mounted *mounted, struct cw_fault *fault);

// maskedPaths and readonlyPaths (masks.c).
int cw_masks(const struct cw_config *config, int root, struct cw_fault *fault);
int cw_readonly_paths(const struct cw_config *config, int root, struct cw_fault *fault);

#endif
