// SPDX-License-Identifier: MIT
// Descriptors beyond 0-2 that the program is to have: the helper gets them as 5, 6, …, in the order
// of their records, and keeps those numbers until the program gets its own.
#ifndef CW_EXTRAS_H
#define CW_EXTRAS_H

#include "config.h"
#include "fault.h"

#define CW_EXTRA_FIRST 5
#define CW_EXTRAS_MAX 32
#define CW_EXTRA_TARGET_MAX 255

// Close what else leaked to us, and refuse what would lead out of the container.
int cw_extras_check(const struct cw_config *config, struct cw_fault *fault);

// Their present numbers, for a list of what stays open; returns how many.
unsigned cw_extras_list(const struct cw_config *config, int *fds);

// `fd` under a number that no descriptor of the program's can have.
int cw_extras_raise(const struct cw_config *config, int fd);

// Out of the way of each other, while there is no limit yet on numbers: `moved` has CW_EXTRAS_MAX.
int cw_extras_move(const struct cw_config *config, int *moved, struct cw_fault *fault);

// The last word on descriptors before exec: all of them get the numbers that the program knows.
int cw_extras_place(const struct cw_config *config, const int *moved, struct cw_fault *fault);

// Outside of the program they have no business.
void cw_extras_close(const struct cw_config *config);

#endif
