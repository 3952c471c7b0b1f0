// SPDX-License-Identifier: MIT
// What init and the monitor tell each other, one SEQPACKET datagram each (both are this binary).
#ifndef CW_PACKET_H
#define CW_PACKET_H

#include "config.h"
#include "fault.h"

#include <linux/resource.h>

enum cw_packet_kind {
    CW_PACKET_GO,     // monitor: the id maps are written
    CW_PACKET_SIGNAL, // monitor: value is a signal for the payload
    CW_PACKET_FAULT,  // init: set-up failed
    CW_PACKET_PTY,    // init: carries the pty's master and slave
    CW_PACKET_EXECED, // init: the payload is the program now
    CW_PACKET_STATUS, // init: value is the payload's wait status
    CW_PACKET_END,    // init: the same, and nobody but init is left; usage is what all have used
    CW_PACKET_NOTIFY, // init: carries the listener of the program's filter
    CW_PACKET_JOINED, // joiner: carries a pidfd of the payload; value is its pid
    CW_PACKET_LISTENER, // init: carries a socket that listens; value is which, port where
    CW_PACKET_LISTEN,   // monitor: make such a socket; value is the request
    CW_PACKET_CONNECT,  // monitor: make one that connects, without waiting for it
    CW_PACKET_SOCKET,   // init: answers request `value` with a socket, an error, or both (EINPROGRESS)
};

struct cw_packet {
    uint32_t kind;
    int32_t value;
    uint32_t port;
    int32_t error;
    struct cw_endpoint endpoint;
    struct rusage usage;
    struct cw_fault fault;
};

int cw_packet_send(int socket, enum cw_packet_kind kind, int32_t value);
int cw_packet_send_fault(int socket, const struct cw_fault *fault);
// Without waiting for room.
int cw_packet_offer(int socket, const struct cw_packet *packet);
// With one or two descriptors, or none.
int cw_packet_send_fds(int socket, const struct cw_packet *packet, const int *fds, unsigned count);
// 1, or 0 at the end, or -errno. `fds` are -1 unless the packet carried them.
int cw_packet_receive(int socket, struct cw_packet *packet, int fds[2], int flags);

#endif
