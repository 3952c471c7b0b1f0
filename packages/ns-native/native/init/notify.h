// SPDX-License-Identifier: MIT
// System calls that the filter leaves to user space: answered here, or by Node through here. What
// nobody answers in time is denied, whatever has become of Node.
#ifndef CW_NOTIFY_H
#define CW_NOTIFY_H

#include "emulate-root.h"
#include "message.h"

struct cw_monitor;

struct cw_pending_call {
    uint64_t id;
    uint64_t deadline; // CLOCK_MONOTONIC, ns
};

struct cw_notify {
    int listener; // of the program's filter; -1: none
    bool came;    // it may be gone by now, with all whom the filter held for
    int timer;
    struct cw_pending_call *pending; // waiting for Node
    uint32_t pending_count;
    struct cw_emulation emulation;
};

void cw_notify_init(struct cw_notify *notify);

// The filter's listener has come; it is this module's from now on.
void cw_notify_listen(struct cw_monitor *m, int listener);

// Whether the filter that was asked for has its listener.
bool cw_notify_is_complete(const struct cw_monitor *m);

// Node's answer to a call.
void cw_notify_answer(struct cw_monitor *m, const struct cw_command *command);

// Node is gone: what waits for it is denied.
void cw_notify_abandon(struct cw_monitor *m);

#endif
