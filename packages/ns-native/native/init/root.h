// SPDX-License-Identifier: MIT
#ifndef CW_ROOT_H
#define CW_ROOT_H

#include "mounts.h"

// Mount the new root: `mounted->root` is it, or the caller's when none is configured.
int cw_root_mount(const struct cw_config *config, struct cw_mounted *mounted,
                  struct cw_fault *fault);

// Make the working directory while the root can still be written to.
int cw_root_make_cwd(const struct cw_config *config, int root, struct cw_fault *fault);

// Make it this mount namespace's root and let go of the old one, and of the stage.
int cw_root_enter(const struct cw_config *config, const struct cw_mounted *mounted,
                  struct cw_fault *fault);

#endif
