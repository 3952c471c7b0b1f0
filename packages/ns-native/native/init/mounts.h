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
    int root;         // O_PATH, the new root (or the caller's)
    int pts;          // the container's own devpts
    int stage;        // a tmpfs that no container sees (stage.c)
    int descriptors;  // /proc/self/fd, where the mount calls without descriptors are used
    unsigned staged;  // how many names in the stage are taken
    bool attached;    // the stage lies on top of the old root
    bool legacy;      // the new mount calls are not to be had (mount-legacy.c)
};

// A place to mount on: `directory` itself when `name` is "", else what is called so in it.
struct cw_place {
    int directory;
    const char *name;
};
// The old root, on top of it: where nothing is found by a path.
#define CW_PLACE_OLD_ROOT ((struct cw_place){.directory = -1, .name = "/"})

// Finds out how to mount here, and opens the stage where it is needed.
int cw_mounts_open(const struct cw_config *config, struct cw_mounted *mounted,
                   struct cw_fault *fault);

// Every entry of the configuration's mount list, in order.
int cw_mounts(const struct cw_config *config, struct cw_mounted *mounted, struct cw_fault *fault);

// A new file system put onto `place`; returns a descriptor of it. `options` ends in a NULL key.
int cw_mount_fresh(struct cw_mounted *mounted, const char *type, const struct cw_option *options,
                   unsigned attributes, struct cw_place place, struct cw_fault *fault);

// A tmpfs with the size and mode that the configuration may give.
int cw_mount_tmpfs(struct cw_mounted *mounted, uint64_t size, uint32_t mode, unsigned attributes,
                   struct cw_place place, struct cw_fault *fault);

// What is at `path` in `directory` ("" is `directory` itself), to be bound once.
int cw_bind_open(const struct cw_mounted *mounted, int directory, const char *path, unsigned flags);

// Puts that onto `place`; `*tree` is then the new mount. With AT_RECURSIVE in `flags` the attributes
// are for everything mounted below it too, if AT_RECURSIVE was given to cw_bind_open.
int cw_bind_attach(struct cw_mounted *mounted, int *tree, unsigned flags, unsigned attributes,
                   struct cw_place place, struct cw_fault *fault);

// Both in one.
int cw_mount_bind(struct cw_mounted *mounted, int source, unsigned flags, unsigned attributes,
                  struct cw_place place, struct cw_fault *fault);

// Adds flags to a mount that is attached, and to no other.
int cw_mount_restrict(const struct cw_mounted *mounted, int mount, unsigned attributes,
                      struct cw_fault *fault);

// Whether `device` is that character device; -ENODEV when it is another or something else.
int cw_device_check(int device, unsigned major, unsigned minor, struct cw_fault *fault);

// A file with this content, from the stage, as by cw_bind_open (stage.c).
int cw_stage_open(struct cw_mounted *mounted, struct cw_fault *fault);
int cw_stage_file(struct cw_mounted *mounted, const struct cw_mount *mount, struct cw_fault *fault);

// The same with mount(2) (mount-legacy.c).
int cw_legacy_open(struct cw_mounted *mounted, struct cw_fault *fault);
int cw_legacy_fresh(struct cw_mounted *mounted, const char *type, const struct cw_option *options,
                    unsigned attributes, struct cw_place place, struct cw_fault *fault);
int cw_legacy_attach(struct cw_mounted *mounted, int *tree, unsigned flags, unsigned attributes,
                     struct cw_place place, struct cw_fault *fault);
int cw_legacy_restrict(const struct cw_mounted *mounted, int mount, unsigned attributes,
                       struct cw_fault *fault);

// A minimal /dev onto `target`, and a devpts (dev.c).
int cw_mount_dev(const struct cw_config *config, const struct cw_mount *mount, int target,
                 struct cw_mounted *mounted, struct cw_fault *fault);
int cw_mount_pts(const struct cw_config *config, struct cw_mounted *mounted, unsigned attributes,
                 struct cw_place place, struct cw_fault *fault);

// maskedPaths and readonlyPaths (masks.c).
int cw_masks(const struct cw_config *config, struct cw_mounted *mounted, struct cw_fault *fault);
int cw_readonly_paths(const struct cw_config *config, struct cw_mounted *mounted,
                      struct cw_fault *fault);

#endif
