// SPDX-License-Identifier: MIT
// The control groups that a running container has for itself, for what joins it.
#ifndef CW_JOIN_GROUPS_H
#define CW_JOIN_GROUPS_H

#include "fault.h"

#include <stdbool.h>

#define CW_JOIN_GROUPS_MAX 16

struct cw_join_group {
    int directory;
    bool unified; // of version 2
    char line[200]; // of /proc/PID/cgroup
};

struct cw_join_groups {
    struct cw_join_group items[CW_JOIN_GROUPS_MAX];
    unsigned count;
};

// Those in which `pid` is and its parent, the monitor, is not: what limits the container leaves the
// monitor out, and what they share is the caller's.
int cw_join_groups_open(struct cw_join_groups *groups, int proc, int pid, int parent,
                        struct cw_fault *fault);

// clone(2) into the group of version 2, where there is one and the kernel can.
long cw_join_groups_clone(struct cw_join_groups *groups, int *pidfd);

// In the child: enter those that nobody can be born into, and see that all are entered.
int cw_join_groups_enter(const struct cw_join_groups *groups, struct cw_fault *fault);

void cw_join_groups_close(struct cw_join_groups *groups);

#endif
