// SPDX-License-Identifier: MIT
#ifndef CW_SETNS_H
#define CW_SETNS_H

#include "monitor.h"

// Clones init; sets `pid` and `pidfd` of the monitor. `socket` is init's, `more` flags for clone.
typedef int cw_clone_init(struct cw_monitor *m, int socket, unsigned long more);

// Have init cloned by a process that has entered the namespaces to join, as the monitor's child.
int cw_setns_clone(struct cw_monitor *m, int socket, cw_clone_init *clone_init);

#endif
