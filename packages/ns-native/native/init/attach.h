// SPDX-License-Identifier: MIT
// The socket by which a later process finds the monitor of a container that is detached.
#ifndef CW_ATTACH_H
#define CW_ATTACH_H

#include "message.h"

#define CW_ATTACHMENTS_MAX 8

struct cw_monitor;

struct cw_attachment {
    int fd; // -1: a free place
    struct cw_commands commands;
};

struct cw_attach {
    int directory; // of the socket's name; -1 without
    int listener;
    uint64_t start_time; // of init
    struct cw_attachment attachments[CW_ATTACHMENTS_MAX];
};

void cw_attach_init(struct cw_attach *attach);

// Listen, where the configuration says so.
int cw_attach_open(struct cw_monitor *m);

// Tell those that are there already.
void cw_attach_started(struct cw_monitor *m);

// Nobody can come any more: what there is to know is in the exit file now.
void cw_attach_close(struct cw_monitor *m);

// Tell the launcher and everybody else something.
void cw_attach_tell(const struct cw_monitor *m, uint16_t type, const void *payload, size_t size);

// Tell everybody how it ended.
void cw_attach_exited(struct cw_monitor *m);

#endif
