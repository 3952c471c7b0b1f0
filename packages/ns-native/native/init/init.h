// SPDX-License-Identifier: MIT
#ifndef CW_INIT_H
#define CW_INIT_H

#include "config.h"
#include "fault.h"

// Be PID 1 of the new namespaces. `socket` leads to the monitor; `stdio` are descriptors to put
// in place of 0-2, -1 where those stay; `proc` is the caller's /proc.
_Noreturn void cw_init(const struct cw_config *config, int socket, const int stdio[3], int proc);

// Whether init has to wait until the monitor has done something to it that takes the caller's rights;
// otherwise it does all by itself, at once.
bool cw_init_waits(const struct cw_config *config);

// A session keyring of its own, so that the caller's keys are not the container's; unless they are
// to be.
int cw_new_keyring(const struct cw_config *config, struct cw_fault *fault);

// Whether something is to be written to a procfs from inside.
bool cw_wants_proc(const struct cw_config *config);

#endif
