// SPDX-License-Identifier: MIT
#ifndef CW_ROOT_H
#define CW_ROOT_H

#include "mounts.h"

// Mount the new root: `mounted->root` is it, or the caller's when none is configured.
int cw_root_mount(const struct cw_config *config, struct cw_mounted *mounted,
                  struct cw_fault *fault);

// Make the working directory while the root can still be written to.
int cw_root_make_cwd(const struct cw_config *config, int root, struct cw_fault *fault);

// Make it this mount namespace's root. `*old` is then what cw_root_detach and cw_root_wait are to be
// given: 0 when the old root is gone already.
int cw_root_enter(const struct cw_config *config, const struct cw_mounted *mounted, uint64_t *old,
                  struct cw_fault *fault);

// Let go of the old root. The kernel takes its time (it waits for all processors), but what it
// takes away is gone at once: so PID 1 does it while the payload, in cw_root_wait, sees to it that it
// is, before anything in there is looked up. -ESRCH when the other end of `lifeline` is gone.
int cw_root_detach(uint64_t old, struct cw_fault *fault);
int cw_root_wait(uint64_t old, int lifeline, struct cw_fault *fault);

#endif
