// SPDX-License-Identifier: MIT
// A program of the host that connects the container's network to the host's by a TAP device: pasta,
// slirp4netns. What is meant by "connect" and with which options is for TypeScript to say.
#ifndef CW_UPLINK_H
#define CW_UPLINK_H

struct cw_monitor;

// Between the clone and the first step of init, whose /proc files can still be opened. Returns when
// the program says that it is ready: by writing to its standard output.
int cw_uplink_start(struct cw_monitor *m);

// The program is gone when this returns.
void cw_uplink_stop(struct cw_monitor *m);

#endif
