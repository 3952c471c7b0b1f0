// SPDX-License-Identifier: MIT
#ifndef CW_LANDLOCK_H
#define CW_LANDLOCK_H

#include "fault.h"
#include "privilege.h"

// Restrict this process, which has no_new_privs, and what it becomes. Paths are those it sees now.
// -EOPNOTSUPP, with the kernel's ABI and the rights it lacks as detail, rather than restrict less.
int cw_landlock_restrict(const struct cw_landlock *landlock, struct cw_fault *fault);

#endif
