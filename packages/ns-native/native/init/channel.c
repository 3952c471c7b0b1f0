// SPDX-License-Identifier: MIT
#include "channel.h"

#include "sys.h"

bool cw_is_channel(int fd) {
    int domain = 0;
    int type = 0;
    return sys_getsockopt(fd, CW_SO_DOMAIN, &domain) == 0 && domain == CW_AF_UNIX &&
           sys_getsockopt(fd, CW_SO_TYPE, &type) == 0 && type == CW_SOCK_SEQPACKET;
}

int cw_channel_open(struct cw_monitor *m) {
    bool given = cw_is_channel(CW_CHANNEL);
    if (m->config.channel && !given) return cw_fail(&m->fault, "getsockopt", -EBADF);
    if (m->config.channel)
        m->channel = CW_CHANNEL;
    else if (given) // somebody's descriptor that leaked to us
        sys_close(CW_CHANNEL);
    return 0;
}

static int pass(int channel, int fd) {
    uint8_t byte = 0;
    struct iovec part = {.iov_base = &byte, .iov_len = sizeof byte};
    struct {
        struct cw_control_header header;
        int fd;
    } rights = {
        .header = {.length = sizeof(struct cw_control_header) + sizeof(int),
                   .level = CW_SOL_SOCKET,
                   .type = CW_SCM_RIGHTS},
        .fd = fd,
    };
    struct cw_message_header message = {
        .parts = &part, .part_count = 1, .control = &rights, .control_length = sizeof rights};
    return (int)CW_CALL3(sendmsg, channel, &message, CW_MSG_NOSIGNAL | CW_MSG_DONTWAIT);
}

void cw_channel_send(struct cw_monitor *m, const struct cw_descriptor *what, int fd) {
    long error = fd < 0 ? fd : m->channel < 0 ? -ENOTCONN : pass(m->channel, fd);
    struct {
        struct cw_descriptor what;
        uint32_t error;
    } payload = {*what, error < 0 ? (uint32_t)-error : 0};
    cw_send_record(m->control, CW_RECORD_DESCRIPTOR, &payload, sizeof payload);
}
