// SPDX-License-Identifier: MIT
#include "packet.h"

#include "sys.h"

struct rights {
    struct cw_control_header header;
    int fds[2];
};

int cw_packet_send(int socket, enum cw_packet_kind kind, int32_t value) {
    struct cw_packet packet = {.kind = kind, .value = value};
    return (int)sys_send(socket, &packet, sizeof packet, 0);
}

int cw_packet_send_fault(int socket, const struct cw_fault *fault) {
    struct cw_packet packet = {.kind = CW_PACKET_FAULT, .fault = *fault};
    return (int)sys_send(socket, &packet, sizeof packet, 0);
}

int cw_packet_offer(int socket, const struct cw_packet *packet) {
    return (int)sys_send(socket, packet, sizeof *packet, CW_MSG_DONTWAIT);
}

static size_t length_of_rights(unsigned count) {
    return sizeof(struct cw_control_header) + count * sizeof(int);
}

int cw_packet_send_fds(int socket, const struct cw_packet *packet, const int *fds, unsigned count) {
    struct iovec part = {.iov_base = (void *)(uintptr_t)packet, .iov_len = sizeof *packet};
    struct rights rights = {
        .header = {.length = length_of_rights(count),
                   .level = CW_SOL_SOCKET,
                   .type = CW_SCM_RIGHTS},
        .fds = {count > 0 ? fds[0] : -1, count > 1 ? fds[1] : -1},
    };
    struct cw_message_header message = {.parts = &part,
                                        .part_count = 1,
                                        .control = count > 0 ? &rights : NULL,
                                        .control_length = count > 0 ? sizeof rights : 0};
    return (int)sys_sendmsg(socket, &message);
}

int cw_packet_receive(int socket, struct cw_packet *packet, int fds[2], int flags) {
    struct iovec part = {.iov_base = packet, .iov_len = sizeof *packet};
    struct rights rights = {0};
    struct cw_message_header message = {
        .parts = &part, .part_count = 1, .control = &rights, .control_length = sizeof rights};
    long size = sys_recvmsg(socket, &message, flags);
    fds[0] = fds[1] = -1;
    if (size <= 0) return (int)size;
    if (message.control_length >= length_of_rights(1) && rights.header.type == CW_SCM_RIGHTS) {
        fds[0] = rights.fds[0];
        if (rights.header.length >= length_of_rights(2)) fds[1] = rights.fds[1];
    }
    if (size != sizeof *packet) return -EPROTO;
    // Whoever wrote it: what is read as text ends.
    packet->fault.call[sizeof packet->fault.call - 1] = '\0';
    packet->fault.detail[sizeof packet->fault.detail - 1] = '\0';
    return 1;
}
