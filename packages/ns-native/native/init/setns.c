// SPDX-License-Identifier: MIT
// Existing namespaces to be in. Who enters them is changed for good, and what it clones is in a
// joined pid namespace while it itself is not: so that is done by a process in between, which shares
// the monitor's descriptors, and whose child becomes the monitor's child by CLONE_PARENT.
#include "setns.h"

#include "procfs.h"
#include "sys.h"

struct told {
    int pid;
    int pidfd;
    int error;
    struct cw_fault fault;
};

// In the caller's view, before anything is entered; whatever the path, it must be such a namespace.
static int open_all(const struct cw_privilege *privilege, int *fds, struct cw_fault *fault) {
    for (uint32_t i = 0; i < privilege->join_count; i++) {
        const struct cw_namespace *join = &privilege->joins[i];
        cw_at(fault, CW_STEP_NS_JOIN, i);
        fds[i] = (int)CW_TRY(fault, "open",
                             sys_openat(AT_FDCWD, join->path,
                                        O_RDONLY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC, 0));
        CW_TRY(fault, "ioctl", cw_namespace_check(fds[i], join->type));
    }
    return 0;
}

static int enter(const struct cw_privilege *privilege, const int *fds, struct cw_fault *fault) {
    bool entered[CW_JOINS_MAX] = {false};
    // Namespaces of another owner than the user namespace to join want the caller's power; the
    // others want the power that comes with the user namespace. So: what can be entered now, then
    // the user namespace, then the rest.
    for (int pass = 0; pass < 3; pass++)
        for (uint32_t i = 0; i < privilege->join_count; i++) {
            bool user = privilege->joins[i].type == CLONE_NEWUSER;
            if (entered[i] || user != (pass == 1)) continue;
            cw_at(fault, CW_STEP_NS_JOIN, i);
            long error = sys_setns(fds[i], (int)privilege->joins[i].type);
            if (error == -EPERM && pass == 0 && privilege->joined & CLONE_NEWUSER) continue;
            if (error < 0) return cw_fail(fault, "setns", error);
            entered[i] = true;
        }
    return 0;
}

static int be_the_way(struct cw_monitor *m, const int *fds, int socket, cw_clone_init *clone_init) {
    cw_at(&m->fault, CW_STEP_NS_JOIN, CW_NO_INDEX);
    // Closed to what lives in there already, before it can see us (CVE-2016-9962).
    CW_TRY(&m->fault, "prctl", sys_prctl(PR_SET_DUMPABLE, 0, 0));
    int error = enter(&m->config.privilege, fds, &m->fault);
    return error < 0 ? error : clone_init(m, socket, CLONE_PARENT);
}

int cw_setns_clone(struct cw_monitor *m, int socket, cw_clone_init *clone_init) {
    int fds[CW_JOINS_MAX];
    int pipe[2];
    struct told told;
    int error = open_all(&m->config.privilege, fds, &m->fault);
    if (error < 0) return error;
    CW_TRY(&m->fault, "pipe2", sys_pipe2(pipe, O_CLOEXEC | O_NONBLOCK));
    int way = (int)CW_TRY(&m->fault, "clone", sys_clone(CLONE_FILES | CW_SIGCHLD, NULL));
    if (way == 0) {
        told.error = be_the_way(m, fds, socket, clone_init);
        told.pid = m->pid;
        told.pidfd = m->pidfd;
        told.fault = m->fault;
        sys_write(pipe[1], &told, sizeof told);
        sys_exit(0);
    }
    sys_wait4(way, NULL, 0, NULL);
    long size = sys_read(pipe[0], &told, sizeof told);
    sys_close(pipe[0]);
    sys_close(pipe[1]);
    for (uint32_t i = 0; i < m->config.privilege.join_count; i++) {
        if (m->config.privilege.joins[i].type == CLONE_NEWUSER) m->user_ns = fds[i];
        else sys_close(fds[i]);
    }
    if (size != sizeof told) return cw_fail(&m->fault, "wait4", -ECHILD);
    m->pid = told.pid;
    m->pidfd = told.pidfd;
    m->fault = told.fault;
    return told.error;
}
