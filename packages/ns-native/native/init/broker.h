// SPDX-License-Identifier: MIT
// Sockets made inside and served outside, by Node: no TUN device, no root, no port of the host.
//
// Init makes them: it is in the network namespace whatever way that came about, it holds nothing
// of the host, and the container can neither look into it nor reach its socket to the monitor.
// It never waits for a connection; the monitor does that, and for many at once.
#ifndef CW_BROKER_H
#define CW_BROKER_H

#include <stdbool.h>
#include <stdint.h>

#define CW_PENDING_MAX 64

struct cw_monitor;
struct cw_command;
struct cw_packet;

// Connections that are under way, all in one epoll.
struct cw_broker {
    bool open;
    int epoll;
    struct {
        bool used;
        int fd;
        uint32_t id;
    } pending[CW_PENDING_MAX];
};

// Node asks for a socket, or wants it no longer.
void cw_broker_open(struct cw_monitor *m, const struct cw_command *command);
void cw_broker_give_up(struct cw_monitor *m, uint32_t id);

// What init has made: one of the configuration's listening sockets, or an answer.
void cw_broker_take_listener(struct cw_monitor *m, const struct cw_packet *packet, int fd);
void cw_broker_take_socket(struct cw_monitor *m, const struct cw_packet *packet, int fd);

#endif
