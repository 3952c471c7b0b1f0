// SPDX-License-Identifier: MIT
#ifndef CW_IDMAP_H
#define CW_IDMAP_H

#include "config.h"
#include "fault.h"

// In the monitor, for the process `pid`, which waits in a new user namespace: what takes more than
// the caller's own rights, that is root's, or newuidmap and newgidmap. `proc` is /proc.
int cw_idmap_write(const struct cw_config *config, int proc, int pid, struct cw_fault *fault);

// In that process itself: the map of a single id.
int cw_idmap_write_own(const struct cw_config *config, int proc, struct cw_fault *fault);

#endif
