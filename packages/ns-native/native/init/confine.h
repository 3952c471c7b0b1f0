// SPDX-License-Identifier: MIT
#ifndef CW_CONFINE_H
#define CW_CONFINE_H

#include "monitor.h"

// Give up what the monitor does not need once everything is set up: it reads what a container writes.
// For good, and for every child of it.
int cw_confine(struct cw_monitor *m);

#endif
