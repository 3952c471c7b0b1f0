// SPDX-License-Identifier: MIT
// The joiner: a further program in the namespaces of a container that runs.
#ifndef CW_JOIN_H
#define CW_JOIN_H

#include "monitor.h"
#include "packet.h"

// Find the container and start the joiner, which stands for the program until that is there.
int cw_join_start(struct cw_monitor *m);

// The joiner has forked the program, whose parent we are: `packet` and `pidfd` name it.
void cw_join_take(struct cw_monitor *m, const struct cw_packet *packet, int pidfd);

// Nobody holds the other end of the socket any more: the program runs, or has died before.
void cw_join_settle(struct cw_monitor *m);

#endif
