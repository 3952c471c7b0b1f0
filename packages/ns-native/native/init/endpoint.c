// SPDX-License-Identifier: MIT
#include "endpoint.h"

#include "sys.h"

#define CW_BACKLOG 511

// struct sockaddr_in and sockaddr_in6, which differ only behind the port.
struct address {
    uint16_t family;
    uint16_t port; // big endian, as are all processors' networks
    union {
        struct {
            uint8_t address[4];
            uint8_t zero[8];
        } v4;
        struct {
            uint32_t flow;
            uint8_t address[16];
            uint32_t scope;
        } v6;
    };
};

static uint16_t swapped(uint16_t port) { return (uint16_t)(port << 8 | port >> 8); }

static int fill(const struct cw_endpoint *at, struct address *address) {
    memset(address, 0, sizeof *address);
    address->port = swapped(at->port);
    if (at->version == 4) {
        address->family = CW_AF_INET;
        memcpy(address->v4.address, at->address, sizeof address->v4.address);
        return 16;
    }
    address->family = CW_AF_INET6;
    memcpy(address->v6.address, at->address, sizeof address->v6.address);
    return 28;
}

static int open_socket(const struct address *address) {
    return (int)sys_socket(address->family, CW_SOCK_STREAM | CW_SOCK_NONBLOCK | CW_SOCK_CLOEXEC);
}

int cw_endpoint_listen(const struct cw_endpoint *at, uint16_t *port, struct cw_fault *fault) {
    struct address address;
    int size = fill(at, &address);
    CW_AUTO_FD socket = (int)CW_TRY(fault, "socket", open_socket(&address));
    CW_TRY(fault, "setsockopt", sys_setsockopt(socket, CW_SO_REUSEADDR, 1));
    CW_TRY(fault, "bind", sys_bind(socket, &address, size));
    CW_TRY(fault, "listen", sys_listen(socket, CW_BACKLOG));
    CW_TRY(fault, "getsockname", sys_getsockname(socket, &address, &size));
    *port = swapped(address.port);
    int result = socket;
    socket = -1;
    return result;
}

int cw_endpoint_connect(const struct cw_endpoint *to, int *pending) {
    struct address address;
    int size = fill(to, &address);
    CW_AUTO_FD socket = open_socket(&address);
    if (socket < 0) return socket;
    long error = sys_connect(socket, &address, size);
    *pending = error == -EINPROGRESS ? EINPROGRESS : 0;
    if (error < 0 && *pending == 0) return (int)error;
    int result = socket;
    socket = -1;
    return result;
}
