// SPDX-License-Identifier: MIT
// How descriptors get from the monitor to Node: one SEQPACKET datagram each on a socket of its own,
// and after it a record on control that says what it is. Node reads the two in step.
#ifndef CW_CHANNEL_H
#define CW_CHANNEL_H

#include "monitor.h"

// Where the helper finds the channel when it was given one.
#define CW_CHANNEL 4

// What a descriptor is, for Node.
struct cw_descriptor {
    uint32_t kind; // CW_DESCRIPTOR_*
    uint32_t id;   // which of its kind, or the request that it answers
    uint32_t port; // of a socket that listens
};

bool cw_is_channel(int fd);

// After the configuration was read: the channel is there when it says so, and only then.
int cw_channel_open(struct cw_monitor *m);

// Hands a copy of `fd` to Node; or, with a negative errno in its place, says why there is none.
// Never waits: Node that does not read gets an errno instead.
void cw_channel_send(struct cw_monitor *m, const struct cw_descriptor *what, int fd);

#endif
