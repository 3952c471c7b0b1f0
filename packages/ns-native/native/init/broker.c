// SPDX-License-Identifier: MIT
#include "broker.h"

#include "channel.h"
#include "sys.h"

void cw_broker_take_listener(struct cw_monitor *m, const struct cw_packet *packet, int fd) {
    struct cw_descriptor what = {
        .kind = CW_DESCRIPTOR_LISTENER, .id = (uint32_t)packet->value, .port = packet->port};
    CW_AUTO_FD listener = fd;
    cw_channel_send(m, &what, listener < 0 ? -EMFILE : listener);
}
