// SPDX-License-Identifier: MIT
// PID 1 inside: sets everything up, forks the payload, reaps. Never executes anything, so its
// memory stays the host's (CVE-2016-9962, CVE-2019-5736).
#include "init.h"

#include "descriptors.h"
#include "endpoint.h"
#include "extras.h"
#include "idmap.h"
#include "mounts.h"
#include "packet.h"
#include "payload.h"
#include "procfs.h"
#include "pty.h"
#include "resources.h"
#include "root.h"
#include "sys.h"
#include "timens.h"

#define CW_POLL_AGAIN_MS 20
#define CW_PAYLOAD_STACK 65536

static int take_stdio(const struct cw_config *config, const int stdio[3], int socket, int proc,
                      struct cw_fault *fault) {
    cw_at(fault, CW_STEP_INIT, CW_NO_INDEX);
    for (int fd = 0; fd < 3; fd++)
        if (stdio[fd] >= 0) CW_TRY(fault, "dup3", sys_dup3(stdio[fd], fd, 0));
    int keep[2 + CW_EXTRAS_MAX] = {socket, proc};
    unsigned count = 2 + cw_extras_list(config, keep + 2);
    CW_TRY(fault, "close_range", cw_close_others(keep, count));
    return 0;
}

bool cw_init_waits(const struct cw_config *config) {
    bool mapped = config->namespaces & CLONE_NEWUSER && config->id_map_kind != CW_ID_MAP_SINGLE;
    bool removes = config->namespaces & CLONE_NEWUSER && config->removals.count > 0;
    return mapped || removes || config->privilege.join_count > 0 || config->cgroup_count > 0 ||
           config->uplink.count > 0 || cw_resources_take_rights(config);
}

static int wait_for_go(int socket, struct cw_fault *fault) {
    struct cw_packet packet;
    int fds[2];
    int received = cw_packet_receive(socket, &packet, fds, 0);
    if (received < 0) return cw_fail(fault, "recvmsg", received);
    if (received == 0 || packet.kind != CW_PACKET_GO) sys_exit(1); // the monitor gave up
    return 0;
}

// SIGKILL when the monitor dies. It is single-threaded, so the signal's bond to the parent thread
// does no harm; the look at the socket covers a death before the call.
static int tie_to_monitor(int socket, struct cw_fault *fault) {
    struct pollfd poll = {.fd = socket};
    cw_at(fault, CW_STEP_PDEATHSIG, CW_NO_INDEX);
    CW_TRY(fault, "prctl", sys_prctl(PR_SET_PDEATHSIG, CW_SIGKILL, 0));
    CW_TRY(fault, "ppoll", sys_poll(&poll, 1, 0));
    if (poll.revents & (POLLHUP | POLLERR)) sys_exit(1);
    return 0;
}

// In a joined user namespace: its root where it has one, and without the caller's groups where it
// allows that. The payload becomes whom it is asked to become, or fails.
static void become_its_root(void) {
    sys_setgroups(0, NULL);
    sys_setresgid(0);
    sys_setresuid(0);
}

static int become_root(const struct cw_config *config, int proc, struct cw_fault *fault) {
    if (config->privilege.joined & CLONE_NEWUSER) become_its_root();
    if (!(config->namespaces & CLONE_NEWUSER)) return 0;
    // A single id need not be 0 inside: all capabilities come with the namespace, not with the id.
    bool single = config->id_map_kind == CW_ID_MAP_SINGLE;
    int error = single ? cw_idmap_write_own(config, proc, fault) : 0;
    if (error < 0) return error;
    cw_at(fault, CW_STEP_SETID, CW_NO_INDEX);
    if (!single) CW_TRY(fault, "setgroups", sys_setgroups(0, NULL));
    CW_TRY(fault, "setresgid", sys_setresgid(single ? config->gids.ranges[0].inside : 0));
    CW_TRY(fault, "setresuid", sys_setresuid(single ? config->uids.ranges[0].inside : 0));
    return 0;
}

int cw_new_keyring(const struct cw_config *config, struct cw_fault *fault) {
    if (cw_is_set(&config->privilege, CW_SETTING_CALLERS_KEYRING)) return 0;
    cw_at(fault, CW_STEP_KEYRING, CW_NO_INDEX);
    long error = sys_keyctl(KEYCTL_JOIN_SESSION_KEYRING, 0);
    // Kernels without keys, and sandboxes that forbid them (Docker's filter), have nothing to leak.
    if (error < 0 && error != -ENOSYS && error != -EPERM) return cw_fail(fault, "keyctl", error);
    return 0;
}

bool cw_wants_proc(const struct cw_config *config) {
    const struct cw_privilege *privilege = &config->privilege;
    bool new_time = config->namespaces & CLONE_NEWTIME && config->join.pid == 0;
    return new_time || privilege->apparmor != NULL ||
           privilege->selinux != NULL || cw_is_set(privilege, CW_SETTING_MAX_USER_NAMESPACES);
}

// How many user namespaces may be made below ours: most holes of the kernel want one
// (CVE-2022-0185, CVE-2024-1086).
static int limit_user_namespaces(const struct cw_config *config, int proc,
                                 struct cw_fault *fault) {
    char number[24];
    struct cw_text text = CW_TEXT(number);
    if (!cw_is_set(&config->privilege, CW_SETTING_MAX_USER_NAMESPACES)) return 0;
    cw_at(fault, CW_STEP_USERNS_LIMIT, CW_NO_INDEX);
    cw_text_add_number(&text, config->privilege.max_user_namespaces, 1);
    CW_AUTO_FD file =
        (int)CW_TRY(fault, "open",
                    cw_proc_open_file(proc, "sys/user/max_user_namespaces", O_WRONLY));
    CW_TRY(fault, "write", sys_write(file, number, text.used));
    return 0;
}

static int name_host(const struct cw_config *config, struct cw_fault *fault) {
    const char *domain = config->privilege.domainname;
    cw_at(fault, CW_STEP_HOSTNAME, CW_NO_INDEX);
    if (config->hostname != NULL)
        CW_TRY(fault, "sethostname", sys_sethostname(config->hostname, strlen(config->hostname)));
    cw_at(fault, CW_STEP_DOMAINNAME, CW_NO_INDEX);
    if (domain != NULL) CW_TRY(fault, "setdomainname", sys_setdomainname(domain, strlen(domain)));
    return 0;
}

static int loopback_up(struct cw_fault *fault) {
    struct {
        char name[16];
        short flags;
        char rest[22];
    } request = {.name = "lo", .flags = 1 /* IFF_UP */};
    cw_at(fault, CW_STEP_NET_LO, CW_NO_INDEX);
    CW_AUTO_FD socket =
        (int)CW_TRY(fault, "socket", sys_socket(CW_AF_INET, CW_SOCK_DGRAM | CW_SOCK_CLOEXEC));
    CW_TRY(fault, "ioctl", sys_ioctl(socket, 0x8914 /* SIOCSIFFLAGS */, &request));
    return 0;
}

// Before anything runs in here, so that no port is taken and no connection comes too early.
static int listen_for_node(const struct cw_config *config, int socket, struct cw_fault *fault) {
    for (uint32_t i = 0; i < config->listener_count; i++) {
        uint16_t port;
        cw_at(fault, CW_STEP_NET_LISTEN, i);
        CW_AUTO_FD listener = cw_endpoint_listen(&config->listeners[i], &port, fault);
        if (listener < 0) return listener;
        struct cw_packet packet = {.kind = CW_PACKET_LISTENER, .value = (int32_t)i, .port = port};
        CW_TRY(fault, "sendmsg", cw_packet_send_fds(socket, &packet, &listener, 1));
    }
    return 0;
}

static int open_pty(const struct cw_config *config, struct cw_mounted *mounted, int socket,
                    int *slave, struct cw_fault *fault) {
    int pair[2] = {-1, -1};
    int error = cw_pty_open(config, mounted, pair, fault);
    if (error < 0) return error;
    struct cw_packet packet = {.kind = CW_PACKET_PTY};
    CW_TRY(fault, "sendmsg", cw_packet_send_fds(socket, &packet, pair, 2));
    for (int fd = 0; fd < 3; fd++) CW_TRY(fault, "dup3", sys_dup3(pair[1], fd, 0));
    sys_close(pair[0]);
    *slave = pair[1];
    return 0;
}

static int build_view(const struct cw_config *config, int socket, int *slave, uint64_t *old_root,
                      struct cw_fault *fault) {
    struct cw_mounted mounted = {.root = -1, .pts = -1, .stage = -1, .descriptors = -1};
    // Targets are made with the modes asked for; the payload sets its own mask.
    sys_umask(0022);
    if (config->namespaces & CLONE_NEWNS) {
        cw_at(fault, CW_STEP_MNT_PROPAGATION, CW_NO_INDEX);
        CW_TRY(fault, "mount", sys_mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL));
    }
    int error = cw_mounts_open(config, &mounted, fault);
    if (error == 0) error = cw_root_mount(config, &mounted, fault);
    if (error == 0) error = cw_mounts(config, &mounted, fault);
    if (error == 0) error = cw_masks(config, &mounted, fault);
    if (error == 0) error = cw_readonly_paths(config, &mounted, fault);
    if (error == 0 && config->terminal) error = open_pty(config, &mounted, socket, slave, fault);
    if (error == 0) error = cw_root_make_cwd(config, mounted.root, fault);
    if (error == 0) error = cw_root_enter(config, &mounted, old_root, fault);
    cw_close(&mounted.pts);
    cw_close(&mounted.root);
    cw_close(&mounted.stage);
    cw_close(&mounted.descriptors);
    return error;
}

static int set_up(const struct cw_config *config, int socket, int outer, int *slave, int *proc,
                  uint64_t *old_root, struct cw_fault *fault) {
    int error = cw_init_waits(config) ? wait_for_go(socket, fault)
                                      : cw_resources_rank(config, outer, 0, fault);
    if (error < 0) return error;
    // Before the root changes, and while our own files in it are still ours.
    if (cw_wants_proc(config) && (*proc = cw_proc_fresh(fault)) < 0) return *proc;
    if (config->namespaces & CLONE_NEWTIME && (error = cw_timens_enter(config, *proc, fault)) < 0)
        return error;
    // Until then our /proc files belong to us, which writing an id map takes; nobody is inside yet.
    if ((error = become_root(config, outer, fault)) < 0) return error;
    sys_close(outer);
    cw_at(fault, CW_STEP_DUMPABLE, CW_NO_INDEX);
    CW_TRY(fault, "prctl", sys_prctl(PR_SET_DUMPABLE, 0, 0));
    if ((error = tie_to_monitor(socket, fault)) < 0) return error;
    if ((error = cw_new_keyring(config, fault)) < 0) return error;
    if ((error = limit_user_namespaces(config, *proc, fault)) < 0) return error;
    if (config->cgroup_count > 0 && config->namespaces & CLONE_NEWCGROUP) {
        cw_at(fault, CW_STEP_CGROUP_NAMESPACE, CW_NO_INDEX);
        CW_TRY(fault, "unshare", sys_unshare(CLONE_NEWCGROUP));
    }
    if ((error = name_host(config, fault)) < 0) return error;
    if (config->namespaces & CLONE_NEWNET && (error = loopback_up(fault)) < 0) return error;
    if ((error = listen_for_node(config, socket, fault)) < 0) return error;
    return build_view(config, socket, slave, old_root, fault);
}

// What the payload begins with.
struct birth {
    const struct cw_config *config;
    int socket;
    int slave;
    int proc;
    int status[2];
    uint64_t old_root;
};

static void be_payload(void *argument) {
    struct birth birth = *(const struct birth *)argument;
    struct cw_fault fault = {.step = CW_STEP_FORK, .index = CW_NO_INDEX};
    if (birth.config->notify_flags == 0) sys_close(birth.socket);
    sys_close(birth.status[0]);
    int lifeline = cw_extras_raise(birth.config, birth.status[1]);
    int socket = birth.socket;
    if (birth.config->notify_flags != 0) socket = cw_extras_raise(birth.config, socket);
    if (cw_root_wait(birth.old_root, lifeline, &fault) == 0)
        cw_payload(birth.config, birth.slave, birth.proc, lifeline, socket, &fault);
    sys_write(lifeline, &fault, sizeof fault);
    sys_exit(127);
}

// Starts the payload and waits until it is the program: the status pipe closes by exec. It closes by
// death too, but only exec makes SIGCHLD the signal that a child ends with, execve(2): a child that
// still has another one, which __WCLONE stands for, died before. Until then it has our memory, for
// a copy costs more than all else that it does.
static int start_payload(const struct cw_config *config, int socket, int slave, int proc,
                         uint64_t old_root, int *payload, struct cw_fault *fault) {
    _Alignas(16) uint8_t stack[CW_PAYLOAD_STACK];
    struct birth birth = {.config = config, .socket = socket, .slave = slave, .proc = proc,
                          .old_root = old_root};
    int *status = birth.status;
    cw_at(fault, CW_STEP_FORK, CW_NO_INDEX);
    CW_TRY(fault, "pipe2", sys_pipe2(status, O_CLOEXEC));
    *payload = (int)CW_TRY(fault, "clone",
                           sys_clone_sharing(0, stack + sizeof stack, be_payload, &birth));
    int error = cw_root_detach(old_root, fault);
    if (error < 0) return error;
    sys_close(status[1]);
    if (slave >= 0) sys_close(slave);
    if (proc >= 0) sys_close(proc);
    for (int fd = 0; fd < 3; fd++) sys_close(fd);
    cw_extras_close(config);
    struct cw_fault reported;
    long size = sys_read(status[0], &reported, sizeof reported);
    sys_close(status[0]);
    if (size == 0) {
        int how;
        long ended = sys_wait4(*payload, &how, __WCLONE, NULL);
        return ended == *payload ? cw_payload_died(config, how, fault) : 0;
    }
    if (size != sizeof reported) return cw_fail(fault, "read", size < 0 ? size : -EPROTO);
    *fault = reported;
    return -fault->error;
}

// Everything that has ended, orphans too. 1 when the payload was among it, 0 when not (yet), -errno.
static int reap(int payload, int *status) {
    int ended = 0;
    int one;
    int pid;
    while ((pid = (int)sys_wait4(-1, &one, WNOHANG | __WALL, NULL)) > 0) {
        if (pid != payload) continue;
        ended = 1;
        *status = one;
    }
    return ended ? ended : pid;
}

// A signal that reaches PID 1 is meant for the program. SIGCHLD is ours.
static void forward_signals(int signals, int payload) {
    struct signalfd_siginfo info;
    while (sys_read(signals, &info, sizeof info) == sizeof info)
        if (info.ssi_signo != CW_SIGCHLD) sys_kill(payload, (int)info.ssi_signo);
}

// The container is what it may be: whatever fails here is an answer, and no end.
static void open_for_node(int socket, const struct cw_packet *request) {
    struct cw_packet answer = {.kind = CW_PACKET_SOCKET, .value = request->value};
    uint16_t port = request->endpoint.port;
    CW_AUTO_FD made = request->kind == CW_PACKET_LISTEN
                          ? cw_endpoint_listen(&request->endpoint, &port, &answer.fault)
                          : cw_endpoint_connect(&request->endpoint, &answer.error);
    answer.port = port;
    if (made < 0) answer.error = -made;
    cw_packet_send_fds(socket, &answer, &made, made < 0 ? 0 : 1);
}

static void obey_monitor(int socket, int payload) {
    struct cw_packet packet;
    int fds[2];
    int received = cw_packet_receive(socket, &packet, fds, CW_MSG_DONTWAIT);
    if (received == -EAGAIN) return;
    if (received <= 0) sys_exit(1); // the monitor is gone: better no container than one nobody minds
    if (packet.kind == CW_PACKET_SIGNAL) sys_kill(payload, packet.value);
    if (packet.kind == CW_PACKET_LISTEN || packet.kind == CW_PACKET_CONNECT)
        open_for_node(socket, &packet);
}

static int reap_until_done(int signals, int socket, int payload) {
    int status = 0;
    struct pollfd polls[] = {{.fd = signals, .events = POLLIN}, {.fd = socket, .events = POLLIN}};
    int ended;
    while ((ended = reap(payload, &status)) <= 0) {
        // Root inside can lower even our limits (prlimit), and poll fails below two descriptors.
        if (sys_poll(polls, 2, ended < 0 ? CW_POLL_AGAIN_MS : -1) < 0) {
            polls[1].revents = POLLIN;
            sys_poll(NULL, 0, CW_POLL_AGAIN_MS);
        }
        forward_signals(signals, payload);
        if (polls[1].revents != 0) obey_monitor(socket, payload);
    }
    return status;
}

static void add_usage(int who, struct rusage *sum) {
    struct rusage part = {0};
    sys_getrusage(who, &part);
    sum->ru_utime.tv_sec += part.ru_utime.tv_sec;
    sum->ru_utime.tv_usec += part.ru_utime.tv_usec;
    sum->ru_stime.tv_sec += part.ru_stime.tv_sec;
    sum->ru_stime.tv_usec += part.ru_stime.tv_usec;
    if (part.ru_maxrss > sum->ru_maxrss) sum->ru_maxrss = part.ru_maxrss;
}

// Our end is the end of all others in here, and what the kernel then does takes longer than anything
// else at a short program's end: to wait for them, to take down every mount, to wait until no processor looks at
// those any more. Where there are no others, none of it is of interest to anybody. kill(2) with -1
// means everybody in this pid namespace but us.
static bool is_last(const struct cw_config *config) {
    return config->namespaces & CLONE_NEWPID && sys_getpid() == 1 &&
           sys_kill(-1, CW_SIGKILL) == -ESRCH;
}

static _Noreturn void end(const struct cw_config *config, int socket, int status) {
    struct cw_packet packet = {.kind = CW_PACKET_STATUS, .value = status};
    if (is_last(config)) {
        packet.kind = CW_PACKET_END;
        add_usage(RUSAGE_SELF, &packet.usage);
        add_usage(RUSAGE_CHILDREN, &packet.usage);
    }
    sys_send(socket, &packet, sizeof packet, 0);
    sys_exit(0);
}

void cw_init(const struct cw_config *config, int socket, const int stdio[3], int proc_outside) {
    struct cw_fault fault = {.index = CW_NO_INDEX};
    int slave = -1;
    int proc = -1;
    int payload = -1;
    uint64_t old_root = 0;
    int error = take_stdio(config, stdio, socket, proc_outside, &fault);
    if (error == 0)
        error = set_up(config, socket, proc_outside, &slave, &proc, &old_root, &fault);
    if (error == 0)
        error = start_payload(config, socket, slave, proc, old_root, &payload, &fault);
    int signals = -1;
    if (error == 0) {
        cw_at(&fault, CW_STEP_INIT, CW_NO_INDEX);
        // Made only now: 0-2 are free in here and nothing else may take the payload's places.
        signals = (int)sys_signalfd(~0ULL);
        if (signals < 0) error = cw_fail(&fault, "signalfd4", signals);
    }
    if (error < 0) {
        cw_packet_send_fault(socket, &fault);
        sys_exit(1);
    }
    cw_packet_send(socket, CW_PACKET_EXECED, 0);
    end(config, socket, reap_until_done(signals, socket, payload));
}
