// SPDX-License-Identifier: MIT
// TCP sockets for somebody outside, made where the caller is: inside.
#ifndef CW_ENDPOINT_H
#define CW_ENDPOINT_H

#include "config.h"
#include "fault.h"

// A socket that listens, and the port that it got.
int cw_endpoint_listen(const struct cw_endpoint *at, uint16_t *port, struct cw_fault *fault);

// A socket that connects, and whether it is done: `*pending` is 0 or EINPROGRESS.
int cw_endpoint_connect(const struct cw_endpoint *to, int *pending);

#endif
