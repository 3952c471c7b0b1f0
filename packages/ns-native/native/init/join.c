// SPDX-License-Identifier: MIT
#include "join.h"

#include "descriptors.h"
#include "extras.h"
#include "identity.h"
#include "init.h"
#include "join-groups.h"
#include "payload.h"
#include "procfs.h"
#include "pty.h"
#include "resources.h"
#include "sys.h"

static const struct {
    uint32_t type;
    char name[8];
} namespaces[] = {{CLONE_NEWUSER, "user"}, {CLONE_NEWNS, "mnt"},     {CLONE_NEWPID, "pid"},
                  {CLONE_NEWNET, "net"},   {CLONE_NEWIPC, "ipc"},    {CLONE_NEWUTS, "uts"},
                  {CLONE_NEWTIME, "time"}, {CLONE_NEWCGROUP, "cgroup"}};

static bool is_init(int proc, int pid) {
    char name[32];
    return cw_proc_read(proc, pid, "comm", name, sizeof name) > 0 && cw_same(name, "cromwell-init\n");
}

// The first child: the program, as init forks nothing before it, and ends with it.
static long first_child(int proc, int pid) {
    char name[40];
    char text[64];
    uint64_t child;
    struct cw_text path = CW_TEXT(name);
    cw_text_add(&path, "task/");
    cw_text_add_number(&path, (uint64_t)pid, 1);
    cw_text_add(&path, "/children");
    long size = cw_proc_read(proc, pid, name, text, sizeof text);
    if (size < 0) return size;
    cw_read_number(text, &child);
    return child > 0 ? (long)child : -ESRCH;
}

// What a namespace of a process is called, such as "pid:[4026531836]"; each has a number of its own.
static long name_namespace(int directory, const char *type, char *name, size_t size) {
    long length = sys_readlinkat(directory, type, name, size - 1);
    name[length < 0 ? 0 : length] = '\0';
    return length;
}

// Which namespaces of a process are not ours: only those need be, and can be, entered.
static long other_namespaces(int proc, int pid, uint32_t *types) {
    char own[48];
    char theirs[48];
    *types = 0;
    CW_AUTO_FD ours = cw_proc_open_of(proc, 0, "ns", O_PATH | O_DIRECTORY);
    if (ours < 0) return ours;
    CW_AUTO_FD others = cw_proc_open_of(proc, pid, "ns", O_PATH | O_DIRECTORY);
    if (others < 0) return others == -ENOENT ? -ESRCH : others;
    for (unsigned i = 0; i < sizeof namespaces / sizeof namespaces[0]; i++) {
        long error = name_namespace(ours, namespaces[i].name, own, sizeof own);
        if (error == -ENOENT) continue; // not in this kernel
        if (error < 0) return error;
        error = name_namespace(others, namespaces[i].name, theirs, sizeof theirs);
        if (error < 0) return error == -ENOENT ? -ESRCH : error;
        if (!cw_same(own, theirs)) *types |= namespaces[i].type;
    }
    return 0;
}

static bool may_set_groups(int proc, int pid) {
    char text[16];
    return cw_proc_read(proc, pid, "setgroups", text, sizeof text) <= 0 || text[0] != 'd';
}

static int ended_or(long error) { return (int)(error == -ENOENT ? -ESRCH : error); }

// A pidfd of a process that is the one that is meant, and not a later one of the same number: by
// when it started, or whose child it is (which waits for it, so that its number is not given away).
static int open_process(int proc, int pid, uint64_t parent, uint64_t start_time,
                        uint64_t *found_parent, struct cw_fault *fault) {
    uint64_t found_start;
    int pidfd = (int)CW_TRY(fault, "pidfd_open", sys_pidfd_open(pid));
    long error = ended_or(cw_proc_stat(proc, pid, found_parent, &found_start));
    if (error == 0 && ((parent != 0 && parent != *found_parent) ||
                       (start_time != 0 && start_time != found_start)))
        error = -ESRCH;
    if (error == 0) return pidfd;
    sys_close(pidfd);
    return cw_fail(fault, "read", error);
}

// Init itself can be entered by root only: it is not dumpable, and its memory belongs to the
// host's user namespace. The program is in the same namespaces.
static int find(struct cw_monitor *m, int proc, int *program, struct cw_join_groups *groups,
                struct cw_fault *fault) {
    struct cw_config *config = &m->config;
    const struct cw_join *join = &config->join;
    uint64_t parent;
    cw_at(fault, CW_STEP_JOIN, CW_NO_INDEX);
    int pid = (int)join->pid;
    m->joined = open_process(proc, pid, join->parent, join->start_time, &parent, fault);
    if (m->joined < 0) return m->joined;
    int failed = cw_join_groups_open(groups, proc, pid, (int)parent, fault);
    if (failed < 0) return failed;
    long error = other_namespaces(proc, pid, &config->namespaces);
    if ((error == -EACCES || error == -EPERM) && is_init(proc, pid)) {
        pid = (int)CW_TRY(fault, "read", ended_or(first_child(proc, pid)));
        *program = open_process(proc, pid, join->pid, 0, &parent, fault);
        if (*program < 0) return *program;
        error = other_namespaces(proc, pid, &config->namespaces);
    }
    CW_TRY(fault, "statx", error);
    config->id_map_kind = may_set_groups(proc, pid) ? CW_ID_MAP_SUBID : CW_ID_MAP_SINGLE;
    return 0;
}

static int take_stdio(const struct cw_config *config, const int stdio[3], const int kept[3],
                      struct cw_fault *fault) {
    for (int fd = 0; fd < 3; fd++)
        if (stdio[fd] >= 0) CW_TRY(fault, "dup3", sys_dup3(stdio[fd], fd, 0));
    int keep[3 + CW_EXTRAS_MAX] = {kept[0], kept[1], kept[2]};
    unsigned count = 3 + cw_extras_list(config, keep + 3);
    CW_TRY(fault, "close_range", cw_close_others(keep, count));
    return 0;
}

// From here on a process of the container may look at us: not into us (CVE-2016-9962).
static int enter(const struct cw_config *config, int target, struct cw_fault *fault) {
    CW_TRY(fault, "prctl", sys_prctl(PR_SET_DUMPABLE, 0, 0));
    CW_TRY(fault, "prctl", sys_prctl(PR_SET_PDEATHSIG, CW_SIGKILL, 0));
    if (config->namespaces != 0)
        CW_TRY(fault, "setns", sys_setns(target, (int)config->namespaces));
    sys_close(target);
    if (!(config->namespaces & CLONE_NEWUSER)) return 0;
    if (config->id_map_kind != CW_ID_MAP_SINGLE) {
        CW_TRY(fault, "setgroups", sys_setgroups(0, NULL));
        CW_TRY(fault, "setresgid", sys_setresgid(0));
        CW_TRY(fault, "setresuid", sys_setresuid(0));
    }
    // The change of credentials has set it to what fs.suid_dumpable says.
    CW_TRY(fault, "prctl", sys_prctl(PR_SET_DUMPABLE, 0, 0));
    return 0;
}

// Of the container's own devpts: /dev/ptmx is resolved in its mounts.
static int open_pty(const struct cw_config *config, int socket, int *slave,
                    struct cw_fault *fault) {
    int pair[2] = {-1, -1};
    struct cw_packet packet = {.kind = CW_PACKET_PTY};
    struct cw_mounted mounted = {.root = -1, .pts = -1};
    cw_at(fault, CW_STEP_PTY, CW_NO_INDEX);
    mounted.root = (int)CW_TRY(fault, "open",
                               sys_openat(AT_FDCWD, "/", O_PATH | O_DIRECTORY | O_CLOEXEC, 0));
    int error = cw_pty_open(config, &mounted, pair, fault);
    sys_close(mounted.root);
    if (error < 0) return error;
    CW_TRY(fault, "sendmsg", cw_packet_send_fds(socket, &packet, pair, 2));
    for (int fd = 0; fd < 3; fd++) CW_TRY(fault, "dup3", sys_dup3(pair[1], fd, 0));
    sys_close(pair[0]);
    *slave = pair[1];
    return 0;
}

static int join(const struct cw_config *config, int target, int outer, int socket,
                const int stdio[3], struct cw_fault *fault) {
    const int kept[] = {socket, target, outer};
    cw_at(fault, CW_STEP_JOIN, CW_NO_INDEX);
    int slave = -1;
    int pidfd = -1;
    int proc = -1;
    int error = take_stdio(config, stdio, kept, fault);
    // while we still have the caller's rights
    if (error == 0) error = cw_resources_rank(config, outer, 0, fault);
    if (error < 0) return error;
    sys_close(outer);
    cw_at(fault, CW_STEP_JOIN, CW_NO_INDEX);
    error = enter(config, target, fault);
    if (error == 0) error = cw_new_keyring(config, fault);
    if (error == 0 && cw_wants_proc(config) && (proc = cw_proc_fresh(fault)) < 0) error = proc;
    if (error == 0 && config->terminal) error = open_pty(config, socket, &slave, fault);
    if (error < 0) return error;
    cw_at(fault, CW_STEP_FORK, CW_NO_INDEX);
    // A child of the monitor's, which is to wait for it. It ends without a signal until it is the
    // program, as this process does.
    long pid = CW_TRY(fault, "clone", sys_clone(CLONE_PARENT | CLONE_PIDFD, &pidfd));
    if (pid == 0) {
        cw_payload(config, slave, proc, socket, socket, fault);
        return -fault->error;
    }
    struct cw_packet packet = {.kind = CW_PACKET_JOINED, .value = (int32_t)pid};
    cw_packet_send_fds(socket, &packet, &pidfd, 1);
    sys_exit(0);
}

// A joined program without the container's pid namespace would outlive it.
static void container_ended(struct cw_monitor *m, int fd, short revents) {
    (void)revents;
    cw_unwatch(m, fd);
    cw_monitor_kill(m);
}

int cw_join_start(struct cw_monitor *m) {
    int pair[2];
    CW_AUTO_FD program = -1;
    struct cw_join_groups groups;
    CW_AUTO_FD proc = cw_proc_open(&m->fault);
    if (proc < 0) return proc;
    int error = find(m, proc, &program, &groups, &m->fault);
    if (error < 0) return error;
    cw_watch(m, m->joined, POLLIN, container_ended);
    int target = program >= 0 ? program : m->joined;
    cw_at(&m->fault, CW_STEP_JOIN, CW_NO_INDEX);
    CW_TRY(&m->fault, "socketpair", sys_socketpair(CW_SOCK_SEQPACKET | CW_SOCK_CLOEXEC, pair));
    m->pid = (int)CW_TRY(&m->fault, "clone", cw_join_groups_clone(&groups, &m->pidfd));
    if (m->pid == 0) {
        struct cw_fault fault = m->fault;
        int socket = cw_extras_raise(&m->config, pair[1]);
        if (cw_join_groups_enter(&groups, &fault) == 0)
            join(&m->config, target, proc, socket, m->relay.given, &fault);
        struct cw_packet packet = {.kind = CW_PACKET_FAULT, .fault = fault};
        sys_write(socket, &packet, sizeof packet); // all that a filter may still let through
        sys_exit(127);
    }
    cw_join_groups_close(&groups);
    sys_close(pair[1]);
    m->socket = pair[0];
    return 0;
}

void cw_join_take(struct cw_monitor *m, const struct cw_packet *packet, int pidfd) {
    cw_monitor_kill(m); // the joiner: it has nothing more to do, and might be frozen
    sys_wait4(m->pid, NULL, __WALL, NULL);
    sys_close(m->pidfd);
    m->pid = packet->value;
    m->pidfd = pidfd;
}

// As for the first program (init.c): a child that exec has not made end with SIGCHLD is none.
void cw_join_settle(struct cw_monitor *m) {
    int status;
    if (m->faulted || m->dead) return;
    if (sys_wait4(m->pid, &status, __WCLONE, &m->usage) == m->pid) {
        m->dead = true;
        m->faulted = true;
        cw_payload_died(&m->config, status, &m->fault);
        return;
    }
    if (!cw_notify_is_complete(m)) {
        cw_at(&m->fault, CW_STEP_NOTIFY, CW_NO_INDEX);
        cw_fail(&m->fault, "sendmsg", -EPIPE);
        m->faulted = true;
        cw_monitor_kill(m);
        return;
    }
    m->started = true;
    cw_relay_start(&m->relay);
    cw_send_started(m->control, m->pid);
    cw_attach_started(m);
    cw_limits_start(m);
}
