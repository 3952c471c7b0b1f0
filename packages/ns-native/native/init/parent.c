// SPDX-License-Identifier: MIT
#include "parent.h"

#include "sys.h"

static void parent_ended(struct cw_monitor *m, int fd, short revents) {
    (void)fd;
    (void)revents;
    cw_parent_forget(m);
    cw_limits_end(m, CW_REASON_PARENT_GONE);
}

// By the socket's peer, which is whoever made the pair: getppid(2) may be a tracer, or a reaper by
// now. If the number is another process's already, the socket has ended before we started.
// Not PR_SET_PDEATHSIG, which follows the thread: a worker's end is not Node's.
void cw_parent_watch(struct cw_monitor *m) {
    struct cw_peer peer;
    if (sys_peer(m->control, &peer) < 0) return;
    int pidfd = (int)sys_pidfd_open(peer.pid);
    if (pidfd < 0) return; // the end of the socket is all there is to go by
    m->parent = pidfd;
    if (cw_watch(m, pidfd, POLLIN, parent_ended) < 0) cw_close(&m->parent);
}

void cw_parent_forget(struct cw_monitor *m) {
    if (m->parent < 0) return;
    cw_unwatch(m, m->parent);
    cw_close(&m->parent);
}

bool cw_parent_lives(const struct cw_monitor *m) {
    struct pollfd poll = {.fd = m->parent, .events = POLLIN};
    return m->parent >= 0 && sys_poll(&poll, 1, 0) == 0;
}
