// SPDX-License-Identifier: MIT
#ifndef CW_LANDLOCK_H
#define CW_LANDLOCK_H

#include "fault.h"
#include "privilege.h"

#define CW_LANDLOCK_WRITE_FILE (1ULL << 1)
#define CW_LANDLOCK_READ_FILE (1ULL << 2)
#define CW_LANDLOCK_READ_DIR (1ULL << 3)
#define CW_LANDLOCK_REMOVE_DIR (1ULL << 4)
#define CW_LANDLOCK_REMOVE_FILE (1ULL << 5)
#define CW_LANDLOCK_MAKE_DIR (1ULL << 7)
#define CW_LANDLOCK_MAKE_REG (1ULL << 8)
#define CW_LANDLOCK_REFER (1ULL << 13)
#define CW_LANDLOCK_TRUNCATE (1ULL << 14)

// Restrict this process, which has no_new_privs, and what it becomes. Paths are those it sees now.
// -EOPNOTSUPP, with the kernel's ABI and the rights it lacks as detail, rather than restrict less.
int cw_landlock_restrict(const struct cw_landlock *landlock, struct cw_fault *fault);

// The same by hand: a ruleset for all rights to files that this kernel knows, or -EOPNOTSUPP where it
// cannot let files be moved from one directory to another; what is allowed; the restriction.
int cw_landlock_open(uint64_t *rights);
int cw_landlock_allow(int ruleset, int directory, uint64_t rights);
int cw_landlock_close_in(int ruleset);

#endif
