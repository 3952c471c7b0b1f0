// SPDX-License-Identifier: MIT
// Node, the process: a container that is not detached dies with it, and with nothing less.
#ifndef CW_PARENT_H
#define CW_PARENT_H

#include "monitor.h"

// Watch the process at the other end of the control socket, for a container that dies with it.
void cw_parent_watch(struct cw_monitor *m);

// Let it go: detached.
void cw_parent_forget(struct cw_monitor *m);

// Whether the end of the control socket may mean no more than the end of a thread.
bool cw_parent_lives(const struct cw_monitor *m);

#endif
