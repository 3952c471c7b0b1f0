// SPDX-License-Identifier: MIT
#include "broker.h"

#include "channel.h"
#include "packet.h"
#include "sys.h"

static void answer(struct cw_monitor *m, uint32_t id, uint32_t port, int fd) {
    struct cw_descriptor what = {.kind = CW_DESCRIPTOR_ANSWER, .id = id, .port = port};
    cw_channel_send(m, &what, fd);
}

void cw_broker_open(struct cw_monitor *m, const struct cw_command *command) {
    struct cw_packet packet = {.value = (int32_t)cw_command_u32(command, 0)};
    uint32_t id = (uint32_t)packet.value;
    packet.kind = command->type == CW_RECORD_OPEN_LISTENER ? CW_PACKET_LISTEN : CW_PACKET_CONNECT;
    int error = -EINVAL;
    if (command->size > 4)
        error = cw_endpoint_decode(command->payload + 4, command->size - 4u, &packet.endpoint);
    // Init of a container with the host's network would open them on the host.
    if (error == 0 && !cw_has_network(&m->config)) error = -EPERM;
    if (error == 0 && m->socket < 0) error = -ESRCH;
    if (error == 0) error = cw_packet_offer(m->socket, &packet);
    if (error < 0) answer(m, id, 0, error);
}

static void end_pending(struct cw_monitor *m, unsigned place) {
    m->broker.pending[place].used = false;
    // Closing alone would leave it in the epoll as long as Node has it.
    sys_epoll_ctl(m->broker.epoll, EPOLL_CTL_DEL, m->broker.pending[place].fd, NULL);
    cw_close(&m->broker.pending[place].fd);
}

static void answer_connected(struct cw_monitor *m, uint32_t id, int fd) {
    int error = 0;
    sys_getsockopt(fd, CW_SO_ERROR, &error);
    answer(m, id, 0, error > 0 ? -error : fd);
}

static bool is_settled(int fd) {
    struct pollfd poll = {.fd = fd, .events = POLLOUT};
    return sys_poll(&poll, 1, 0) > 0;
}

static void connections_ready(struct cw_monitor *m, int epoll, short revents) {
    struct epoll_event events[CW_PENDING_MAX];
    long count = sys_epoll_poll(epoll, events, CW_PENDING_MAX);
    (void)revents;
    for (long i = 0; i < count; i++) {
        unsigned place = (unsigned)events[i].data;
        answer_connected(m, m->broker.pending[place].id, m->broker.pending[place].fd);
        end_pending(m, place);
    }
}

static int open_epoll(struct cw_monitor *m) {
    if (m->broker.open) return 0;
    long epoll = sys_epoll_create();
    if (epoll < 0) return (int)epoll;
    int error = cw_watch(m, (int)epoll, POLLIN, connections_ready);
    if (error < 0) {
        sys_close((int)epoll);
        return error;
    }
    m->broker.epoll = (int)epoll;
    m->broker.open = true;
    return 0;
}

static int wait_for(struct cw_monitor *m, uint32_t id, int fd) {
    unsigned place = 0;
    while (place < CW_PENDING_MAX && m->broker.pending[place].used) place++;
    if (place == CW_PENDING_MAX) return -EAGAIN;
    int error = open_epoll(m);
    if (error < 0) return error;
    struct epoll_event event = {.events = POLLOUT, .data = place};
    error = (int)sys_epoll_ctl(m->broker.epoll, EPOLL_CTL_ADD, fd, &event);
    if (error < 0) return error;
    m->broker.pending[place].used = true;
    m->broker.pending[place].fd = fd;
    m->broker.pending[place].id = id;
    return 0;
}

void cw_broker_take_socket(struct cw_monitor *m, const struct cw_packet *packet, int fd) {
    uint32_t id = (uint32_t)packet->value;
    CW_AUTO_FD socket = fd;
    int error = -packet->error;
    if (socket < 0 && (error == 0 || error == -EINPROGRESS)) error = -EMFILE; // it found no room here
    if (error == -EINPROGRESS && is_settled(socket)) { // as it is at once within a machine
        answer_connected(m, id, socket);
        return;
    }
    if (error == -EINPROGRESS && (error = wait_for(m, id, socket)) == 0) {
        socket = -1; // ours for longer
        return;
    }
    answer(m, id, packet->port, error < 0 ? error : socket);
}

void cw_broker_give_up(struct cw_monitor *m, uint32_t id) {
    for (unsigned place = 0; place < CW_PENDING_MAX; place++)
        if (m->broker.pending[place].used && m->broker.pending[place].id == id)
            end_pending(m, place);
}

void cw_broker_take_listener(struct cw_monitor *m, const struct cw_packet *packet, int fd) {
    struct cw_descriptor what = {
        .kind = CW_DESCRIPTOR_LISTENER, .id = (uint32_t)packet->value, .port = packet->port};
    CW_AUTO_FD listener = fd;
    cw_channel_send(m, &what, listener < 0 ? -EMFILE : listener);
}
