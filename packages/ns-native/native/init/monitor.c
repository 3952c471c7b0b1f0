// SPDX-License-Identifier: MIT
// The process outside that starts init, waits for it, and looks after what is left when it ends:
// output, log, exit file, directories to remove. It stays in the caller's namespaces.
#include "monitor.h"

#include "attach.h"
#include "broker.h"
#include "channel.h"
#include "confine.h"
#include "descriptors.h"
#include "exit-file.h"
#include "extras.h"
#include "idmap.h"
#include "init.h"
#include "join.h"
#include "packet.h"
#include "parent.h"
#include "procfs.h"
#include "pty.h"
#include "remove-tree.h"
#include "resources.h"
#include "setns.h"
#include "sys.h"
#include "uplink.h"

// How long after the container's end output is waited for that may not come (a descriptor that
// left the container) or that nobody may take (the launcher is gone).
#define CW_PATIENCE_MS 100

int cw_watch(struct cw_monitor *m, int fd, short events, cw_ready *ready) {
    for (unsigned i = 0; i < CW_WATCHES_MAX; i++) {
        if (m->watches[i].fd >= 0) continue;
        m->watches[i] = (struct cw_watch){fd, events, ready};
        return 0;
    }
    return -ENFILE;
}

void cw_unwatch(struct cw_monitor *m, int fd) {
    for (unsigned i = 0; i < CW_WATCHES_MAX; i++)
        if (m->watches[i].fd == fd) m->watches[i].fd = -1;
}

static int read_config(struct cw_monitor *m) {
    uint8_t *records;
    size_t length;
    cw_at(&m->fault, CW_STEP_CONFIG, CW_NO_INDEX);
    CW_TRY(&m->fault, "read", cw_message_read(m->control, &records, &length));
    size_t size = cw_config_memory(length);
    long memory = sys_map(size);
    if (memory < 0 && memory > -4096) return cw_fail(&m->fault, "mmap", memory);
    CW_TRY(&m->fault, "decode",
           cw_config_decode(records, length, (void *)memory, size, &m->config));
    m->detached = m->config.process_flags & CW_PROCESS_DETACHED;
    return cw_channel_open(m);
}

static int clone_init(struct cw_monitor *m, int socket, unsigned long more) {
    cw_at(&m->fault, CW_STEP_CLONE, CW_NO_INDEX);
    // A time namespace has offsets first: init makes it.
    unsigned long flags = (m->config.namespaces & ~(uint32_t)CLONE_NEWTIME) | CLONE_PIDFD | CW_SIGCHLD;
    m->pid = (int)CW_TRY(&m->fault, "clone", cw_cgroup_clone(m, flags | more));
    if (m->pid == 0) cw_init(&m->config, socket, m->relay.given, m->proc);
    return 0;
}

static int make_init(struct cw_monitor *m) {
    int pair[2];
    m->proc = cw_proc_open(&m->fault);
    if (m->proc < 0) return m->proc;
    cw_at(&m->fault, CW_STEP_CLONE, CW_NO_INDEX);
    CW_TRY(&m->fault, "socketpair", sys_socketpair(CW_SOCK_SEQPACKET | CW_SOCK_CLOEXEC, pair));
    int error = m->config.privilege.join_count > 0 ? cw_setns_clone(m, pair[1], clone_init)
                                                   : clone_init(m, pair[1], 0);
    sys_close(pair[1]);
    m->socket = pair[0];
    return error;
}

// By its number, which is its own as long as we have not waited for it. What there is to remove is
// the container's root's.
static int keep_user_namespace(struct cw_monitor *m) {
    if (!(m->config.namespaces & CLONE_NEWUSER) || m->config.removals.count == 0) return 0;
    cw_at(&m->fault, CW_STEP_PROCFS, CW_NO_INDEX);
    m->user_ns = (int)CW_TRY(&m->fault, "open",
                             cw_proc_open_namespace(m->proc, m->pid, "user", CLONE_NEWUSER));
    return 0;
}

// Init's ids, rank and limits. While it waits it is still dumpable, so its /proc files are ours.
static int prepare_init(struct cw_monitor *m) {
    int error = cw_resources_rank(&m->config, m->proc, m->pid, &m->fault);
    if (error == 0) error = keep_user_namespace(m);
    if (error == 0 && m->config.namespaces & CLONE_NEWUSER)
        error = cw_idmap_write(&m->config, m->proc, m->pid, &m->fault);
    if (error == 0) error = cw_cgroup_attach(m);
    if (error == 0) error = cw_uplink_start(m);
    if (error < 0) return error;
    cw_at(&m->fault, CW_STEP_INIT, CW_NO_INDEX);
    CW_TRY(&m->fault, "send", cw_packet_send(m->socket, CW_PACKET_GO, 0));
    return 0;
}

void cw_monitor_kill(struct cw_monitor *m) {
    cw_cgroup_kill(m);
    if (m->pidfd >= 0) sys_pidfd_send_signal(m->pidfd, CW_SIGKILL);
}

static void send_signal(struct cw_monitor *m, int signal) {
    m->limits.signalled = true;
    if (signal == CW_SIGKILL)
        cw_monitor_kill(m);
    else if (m->config.join.pid != 0)
        sys_pidfd_send_signal(m->pidfd, signal);
    else if (m->socket >= 0)
        cw_packet_send(m->socket, CW_PACKET_SIGNAL, signal);
}

// What somebody sends to the monitor is meant for the program; not so what the kernel sends for
// what the monitor does itself: SIGCHLD, SIGPIPE, SIGURG, SIGXCPU, SIGXFSZ.
static bool is_for_program(unsigned signal) {
    static const uint64_t own = 1ULL << 17 | 1ULL << 13 | 1ULL << 23 | 1ULL << 24 | 1ULL << 25;
    return !(own >> signal & 1);
}

static void forward_signals(struct cw_monitor *m, int fd, short revents) {
    struct signalfd_siginfo info;
    (void)revents;
    while (sys_read(fd, &info, sizeof info) == sizeof info)
        if (is_for_program(info.ssi_signo)) send_signal(m, (int)info.ssi_signo);
}

// Only now: before, a descriptor of ours could lie where those of the program do.
static int watch_signals(struct cw_monitor *m) {
    cw_at(&m->fault, CW_STEP_MONITOR, CW_NO_INDEX);
    int signals = (int)CW_TRY(&m->fault, "signalfd4", sys_signalfd(~0ULL));
    return cw_watch(m, signals, POLLIN, forward_signals);
}

static int start(struct cw_monitor *m) {
    int error = read_config(m);
    if (error == 0) error = cw_extras_check(&m->config, &m->fault);
    if (error == 0) error = watch_signals(m);
    if (error == 0 && !m->detached) cw_parent_watch(m);
    if (error == 0) error = cw_attach_open(m);
    if (error == 0) error = cw_relay_open(&m->relay, &m->config, &m->fault);
    if (error == 0) error = cw_limits_open(m);
    if (error == 0) error = cw_cgroup_open(m);
    if (error == 0) error = m->config.join.pid != 0 ? cw_join_start(m) : make_init(m);
    if (error < 0) return error;
    cw_relay_settle(&m->relay);
    cw_extras_close(&m->config);
    if (m->config.join.pid != 0) return cw_confine(m);
    if (cw_init_waits(&m->config)) error = prepare_init(m);
    cw_close(&m->proc);
    return error < 0 ? error : cw_confine(m); // while init works
}

static void lose_control(struct cw_monitor *m, int why) {
    cw_unwatch(m, m->control);
    cw_close(&m->control);
    cw_notify_abandon(m);
    // A worker thread of Node that ends closes its sockets, too. Before the start nobody would ever
    // know of the container.
    bool wanted = m->detached || (why == -EPIPE && cw_parent_lives(m));
    if (!m->started || !wanted) cw_limits_end(m, CW_REASON_PARENT_GONE);
}

void cw_monitor_obey(struct cw_monitor *m, const struct cw_command *command) {
    switch (command->type) {
    case CW_RECORD_SIGNAL:
        send_signal(m, (int)cw_command_u32(command, 0));
        break;
    case CW_RECORD_DETACH:
        m->detached = true;
        cw_parent_forget(m);
        break;
    case CW_RECORD_RESIZE:
        if (m->relay.master >= 0)
            cw_pty_resize(m->relay.master, (uint16_t)cw_command_u32(command, 0),
                          (uint16_t)(cw_command_u32(command, 0) >> 16));
        break;
    case CW_RECORD_SYSCALL_ANSWER:
        cw_notify_answer(m, command);
        break;
    case CW_RECORD_OPEN_LISTENER:
    case CW_RECORD_OPEN_CONNECTION:
        cw_broker_open(m, command);
        break;
    case CW_RECORD_GIVE_UP:
        cw_broker_give_up(m, cw_command_u32(command, 0));
        break;
    default:
        cw_limits_obey(m, m->control, command);
        break;
    }
}

static void obey_node(struct cw_monitor *m, int fd, short revents) {
    struct cw_command command;
    int taken;
    (void)revents;
    while ((taken = cw_command_read(fd, &m->commands, &command)) > 0) cw_monitor_obey(m, &command);
    if (taken < 0) lose_control(m, taken);
}

static void take_pty(struct cw_monitor *m, const int fds[2]) {
    int error = cw_relay_set_pty(&m->relay, fds[0], fds[1]);
    if (error == 0) return;
    cw_at(&m->fault, CW_STEP_PTY, CW_NO_INDEX);
    cw_fail(&m->fault, "fcntl", error);
    m->faulted = true;
    cw_monitor_kill(m);
}

// The program runs, but nobody would answer what its filter asks.
static void lose_listener(struct cw_monitor *m) {
    cw_at(&m->fault, CW_STEP_NOTIFY, CW_NO_INDEX);
    cw_fail(&m->fault, "sendmsg", -EPIPE);
    m->faulted = true;
    cw_monitor_kill(m);
}

// Whether what is to be done at the end takes that the container's mounts, groups and processes are gone.
static bool waits_for_the_end(const struct cw_monitor *m) {
    const struct cw_config *config = &m->config;
    bool layers = config->upper != NULL;
    for (uint32_t i = 0; i < config->mount_count; i++)
        layers = layers || config->mounts[i].kind == CW_MOUNT_OVERLAY;
    return layers || config->cgroup_count > 0 || config->removals.count > 0 ||
           config->exit_path != NULL || config->attach_path != NULL || m->uplink.keeper != 0;
}

// False when there is nothing to hear.
static bool hear_init(struct cw_monitor *m) {
    struct cw_packet packet;
    int fds[2];
    int received = cw_packet_receive(m->socket, &packet, fds, CW_MSG_DONTWAIT);
    if (received == -EAGAIN) return false;
    // Told once: it died with a word of ours unread. Its own are still to come, unix(7).
    if (received == -ECONNRESET) return true;
    if (received <= 0) {
        cw_unwatch(m, m->socket);
        cw_close(&m->socket);
        if (m->config.join.pid != 0) cw_join_settle(m);
        return false;
    }
    switch (packet.kind) {
    case CW_PACKET_PTY:
        take_pty(m, fds);
        break;
    case CW_PACKET_LISTENER:
        cw_broker_take_listener(m, &packet, fds[0]);
        break;
    case CW_PACKET_SOCKET:
        cw_broker_take_socket(m, &packet, fds[0]);
        break;
    case CW_PACKET_EXECED:
        if (!cw_notify_is_complete(m)) {
            lose_listener(m);
            break;
        }
        m->started = true;
        cw_relay_start(&m->relay);
        if (m->limits.migrated) cw_send_record(m->control, CW_RECORD_MIGRATED, NULL, 0);
        // Who never hears of the start cannot wait for the end either.
        if (m->control >= 0 && cw_send_started(m->control, m->pid) < 0) lose_control(m, -EIO);
        cw_attach_started(m);
        cw_limits_start(m);
        break;
    case CW_PACKET_NOTIFY:
        cw_notify_listen(m, fds[0]);
        break;
    case CW_PACKET_JOINED:
        cw_join_take(m, &packet, fds[0]);
        break;
    case CW_PACKET_END:
        if (!waits_for_the_end(m)) m->dead = m->lingers = true;
        // fall through
    case CW_PACKET_STATUS:
        m->status = packet.value;
        m->has_status = true;
        if (!m->lingers) break;
        m->usage = packet.usage;
        cw_limits_stop(m);
        break;
    case CW_PACKET_FAULT:
        m->fault = packet.fault;
        m->faulted = true;
        break;
    default:
        break;
    }
    return true;
}

static void socket_ready(struct cw_monitor *m, int fd, short revents) {
    (void)fd;
    (void)revents;
    hear_init(m);
}

static void reap_init(struct cw_monitor *m) {
    int status;
    int pid = m->pid;
    while (m->socket >= 0 && hear_init(m)) {
    } // its last words
    if (m->dead || m->pid != pid) return; // a joiner's were about who takes its place
    if (sys_wait4(m->pid, &status, WNOHANG | __WALL, &m->usage) != m->pid) return;
    if (!m->has_status) m->status = status;
    m->dead = true;
    cw_limits_stop(m);
}

static unsigned poll_watches(struct cw_monitor *m, struct pollfd *polls) {
    for (unsigned i = 0; i < CW_WATCHES_MAX; i++)
        polls[i] = (struct pollfd){.fd = m->watches[i].fd, .events = m->watches[i].events};
    return CW_WATCHES_MAX;
}

static void serve_watches(struct cw_monitor *m, const struct pollfd *polls) {
    for (unsigned i = 0; i < CW_WATCHES_MAX; i++) {
        const struct cw_watch *watch = &m->watches[i];
        // One that was served before this one may have ended or replaced it.
        if (watch->fd >= 0 && watch->fd == polls[i].fd && polls[i].revents != 0)
            watch->ready(m, watch->fd, polls[i].revents);
    }
}

// Until init is dead and all output is where it belongs.
static void supervise(struct cw_monitor *m) {
    struct pollfd polls[1 + CW_WATCHES_MAX + CW_RELAY_POLLS];
    int patience = 0;
    while (!m->dead || !cw_relay_drain(&m->relay)) {
        polls[0] = (struct pollfd){.fd = m->dead ? -1 : m->pidfd, .events = POLLIN};
        unsigned count = 1 + poll_watches(m, polls + 1);
        unsigned streams = cw_relay_poll(&m->relay, polls + count);
        long ready = sys_poll(polls, count + streams, m->dead ? CW_PATIENCE_MS : -1);
        if (ready < 0) continue;
        serve_watches(m, polls + 1);
        cw_relay_pump(&m->relay, polls + count, streams);
        cw_limits_look_at_output(m);
        if (!m->dead && polls[0].revents != 0) reap_init(m);
        // With a launcher that lives, a slow reader is waited for; silence never is.
        patience = m->dead && ready == 0 ? patience + 1 : 0;
        if (patience > 0 && (m->control < 0 || !cw_relay_is_pending(&m->relay))) break;
    }
}

// As the container's root: its files belong to ids that only its user namespace has power over.
static void remove_as_root(const struct cw_monitor *m) {
    if (m->user_ns >= 0) sys_setns(m->user_ns, CLONE_NEWUSER);
    for (uint32_t i = 0; i < m->config.removals.count; i++)
        cw_remove_tree(m->config.removals.items[i]);
}

// In a child, whose rights then end with it; without room for one, as the last thing but one word.
static void remove_directories(struct cw_monitor *m) {
    if (m->config.removals.count == 0) return;
    long child = sys_clone(CW_SIGCHLD, NULL);
    if (child <= 0) remove_as_root(m);
    if (child == 0) sys_exit(0);
    if (child > 0) sys_wait4((int)child, NULL, 0, NULL);
}

static void fail_without_words(struct cw_monitor *m) {
    cw_at(&m->fault, CW_STEP_INIT, CW_NO_INDEX);
    cw_fail(&m->fault, "wait4", -ECHILD);
}

// Set-up failed out here. When that was because init had died, its own words count, if it had any.
static void end_init(struct cw_monitor *m) {
    bool had_died = sys_wait4(m->pid, NULL, WNOHANG | __WALL, &m->usage) == m->pid;
    bool had_hung_up = m->fault.step == CW_STEP_INIT && m->fault.error == EPIPE;
    if (had_died || had_hung_up) fail_without_words(m);
    if (!had_died) {
        cw_monitor_kill(m);
        sys_wait4(m->pid, NULL, __WALL, &m->usage);
    }
    while (m->socket >= 0 && hear_init(m)) {
    }
}

static void finish(struct cw_monitor *m) {
    if (m->pid > 0 && !m->dead) end_init(m);
    cw_uplink_stop(m);
    cw_relay_close(&m->relay);
    if (m->started) {
        uint32_t reason = cw_limits_finish(m);
        if (m->config.exit_path != NULL)
            cw_exit_file_write(m->config.exit_path, m->status, reason);
    }
    cw_cgroup_remove(m);
    remove_directories(m);
    cw_attach_close(m);
    if (m->started) {
        cw_attach_exited(m);
        cw_limits_tell(m, m->control);
        if (m->lingers) {
            cw_monitor_kill(m);
            sys_wait4(m->pid, NULL, __WALL, NULL);
        }
        return;
    }
    if (!m->faulted) fail_without_words(m);
    cw_send_fault(m->control, &m->fault);
}

// The monitor itself: signals as something to read, a session of its own.
static int begin(struct cw_monitor *m) {
    cw_at(&m->fault, CW_STEP_MONITOR, CW_NO_INDEX);
    sys_sigmask(CW_SIG_SETMASK, ~0ULL);
    sys_setsid();
    sys_chdir("/");
    cw_watch(m, m->control, POLLIN, obey_node);
    return 0;
}

int cw_monitor(int control) {
    struct cw_monitor m = {.control = control, .channel = -1, .socket = -1, .pidfd = -1,
                           .parent = -1, .joined = -1, .user_ns = -1, .proc = -1};
    cw_attach_init(&m.attach);
    cw_notify_init(&m.notify);
    m.relay.terminal = -1;
    m.limits.wall_timer = m.limits.sample_timer = m.limits.proc = -1;
    for (unsigned i = 0; i < CW_WATCHES_MAX; i++) m.watches[i].fd = -1;
    m.faulted = begin(&m) < 0 || start(&m) < 0;
    if (!m.faulted) {
        cw_watch(&m, m.socket, POLLIN, socket_ready);
        supervise(&m);
    }
    finish(&m);
    return m.started ? 0 : 1;
}
