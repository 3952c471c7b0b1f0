// SPDX-License-Identifier: MIT
#ifndef CW_IDMAP_H
#define CW_IDMAP_H

#include "config.h"
#include "fault.h"

// Write the id maps of the process `pid`, which waits in a new user namespace. `proc` is /proc.
int cw_idmap_write(const struct cw_config *config, int proc, int pid, struct cw_fault *fault);

#endif
