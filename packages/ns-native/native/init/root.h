// SPDX-License-Identifier: MIT
#ifndef CW_ROOT_H
#define CW_ROOT_H

#include "config.h"
#include "fault.h"

// Mount the new root and return an O_PATH descriptor of it (of "/" when none is configured).
int cw_root_mount(const struct cw_config *config, struct cw_fault *fault);

// Make the working directory while the root can still be written to.
int cw_root_make_cwd(const struct cw_config *config, int root, struct cw_fault *fault);

// Make `root` this mount namespace's root and let go of the old one.
int cw_root_enter(const struct cw_config *config, int root, struct cw_fault *fault);

#endif
