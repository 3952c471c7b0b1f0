// SPDX-License-Identifier: MIT
#ifndef CW_TIMENS_H
#define CW_TIMENS_H

#include "config.h"
#include "fault.h"

// Enter a new time namespace with the configured offsets; they are fixed once a process is in it.
int cw_timens_enter(const struct cw_config *config, int proc, struct cw_fault *fault);

#endif
