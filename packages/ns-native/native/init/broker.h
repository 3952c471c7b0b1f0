// SPDX-License-Identifier: MIT
// Sockets made inside and served outside, by Node: no TUN device, no root, no port of the host.
//
// Init makes them: it is in the network namespace whatever way that came about, it holds nothing
// of the host, and the container can neither look into it nor reach its socket to the monitor.
#ifndef CW_BROKER_H
#define CW_BROKER_H

#include "monitor.h"
#include "packet.h"

// Init has made one of the configuration's listening sockets.
void cw_broker_take_listener(struct cw_monitor *m, const struct cw_packet *packet, int fd);

#endif
