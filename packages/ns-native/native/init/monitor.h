// SPDX-License-Identifier: MIT
#ifndef CW_MONITOR_H
#define CW_MONITOR_H

// Run one container for the process at the other end of `control`; returns the exit status.
int cw_monitor(int control);

#endif
