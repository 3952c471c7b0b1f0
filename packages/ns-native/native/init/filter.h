// SPDX-License-Identifier: MIT
// Installing the program's filter.
#ifndef CW_FILTER_H
#define CW_FILTER_H

#include "config.h"
#include "fault.h"

// In the payload, as its last deed but exec. With a filter that asks user space its listener goes
// to the monitor, over `socket`.
int cw_filter_install(const struct cw_config *config, int socket, struct cw_fault *fault);

#endif
