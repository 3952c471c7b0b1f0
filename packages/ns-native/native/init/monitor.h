// SPDX-License-Identifier: MIT
// The monitor's state, and how its parts (relay, limits, ...) take part in its waiting.
#ifndef CW_MONITOR_H
#define CW_MONITOR_H

#include "broker.h"
#include "attach.h"
#include "config.h"
#include "fault.h"
#include "limits.h"
#include "message.h"
#include "notify.h"
#include "relay.h"

#include <linux/resource.h>

#define CW_WATCHES_MAX 24

struct cw_monitor;

// Called when `fd` can be read or written, or its other end is gone.
typedef void cw_ready(struct cw_monitor *m, int fd, short revents);

struct cw_watch {
    int fd; // -1: a free place
    short events;
    cw_ready *ready;
};

struct cw_monitor {
    struct cw_config config;
    struct cw_relay relay;
    struct cw_broker broker;
    struct {
        int keeper; // its pid; 0 without
        int lifeline;
    } uplink;
    struct cw_notify notify;
    struct cw_attach attach;
    struct cw_commands commands;
    struct cw_watch watches[CW_WATCHES_MAX];
    struct cw_limits_state limits;
    struct cw_fault fault;
    struct rusage usage;
    int control; // to Node; -1 once that is gone
    int channel; // of descriptors to Node; -1 without
    int socket;  // to init
    int pidfd;
    int parent;      // pidfd of Node, whose death is the container's; -1 when it is not
    int joined;      // pidfd of the container that this is a further program of; -1 when it is none
    int user_ns;     // init's, for the removal; -1 without
    int proc;        // the caller's, while init is made; -1 afterwards
    int pid;
    int status;      // the payload's, or init's own when that died first
    bool has_status; // init reported the payload's
    bool faulted;    // `fault` is what there is to tell
    bool started;
    bool detached;
    bool dead;    // init was reaped
    bool lingers; // or need not be before the end is told
};

// Have `ready` called from the monitor's one loop; 0, or -ENFILE when all places are taken.
int cw_watch(struct cw_monitor *m, int fd, short events, cw_ready *ready);
void cw_unwatch(struct cw_monitor *m, int fd);

// What a command asks for.
void cw_monitor_obey(struct cw_monitor *m, const struct cw_command *command);

// SIGKILL to init: everything inside ends.
void cw_monitor_kill(struct cw_monitor *m);

// Run one container for the process at the other end of `control`; returns the exit status.
int cw_monitor(int control);

#endif
