// SPDX-License-Identifier: MIT
#include "notify.h"

#include "monitor.h"
#include "sys.h"

// More calls than this waiting for Node at once are denied.
#define CW_CALLS_MAX 512
#define CW_ANSWER_CONTINUE 1

#ifndef SECCOMP_IOCTL_NOTIF_SET_FLAGS
#define SECCOMP_IOCTL_NOTIF_SET_FLAGS SECCOMP_IOW(4, __u64) // Linux 6.6
#endif
#define CW_NOTIF_SYNC_WAKE_UP 1

// As records.h describes them.
struct event {
    uint64_t id;
    uint32_t pid;
    uint32_t arch;
    int32_t number;
    uint32_t zero;
    uint64_t args[6];
};

struct answer {
    uint64_t id;
    int64_t value;
    int32_t error;
    uint32_t flags;
};

static uint64_t now(void) {
    struct __kernel_timespec time = {0};
    sys_clock(CW_CLOCK_MONOTONIC, &time);
    return (uint64_t)time.tv_sec * 1000000000 + (uint64_t)time.tv_nsec;
}

void cw_notify_init(struct cw_notify *notify) {
    notify->listener = -1;
    notify->timer = -1;
}

// A caller that has died meanwhile (ENOENT) needs no answer.
static void answer(struct cw_monitor *m, const struct seccomp_notif_resp *response) {
    sys_ioctl(m->notify.listener, SECCOMP_IOCTL_NOTIF_SEND, response);
}

static void deny(struct cw_monitor *m, uint64_t id) {
    struct seccomp_notif_resp response = {.id = id, .error = -EPERM};
    answer(m, &response);
}

static void set_timer(struct cw_monitor *m) {
    const struct cw_notify *notify = &m->notify;
    uint64_t first = 0;
    for (uint32_t i = 0; i < notify->pending_count; i++)
        if (first == 0 || notify->pending[i].deadline < first) first = notify->pending[i].deadline;
    sys_timerfd_settime(notify->timer, first); // 0: none
}

static void forget(struct cw_notify *notify, uint32_t index) {
    notify->pending[index] = notify->pending[--notify->pending_count];
}

static void out_of_time(struct cw_monitor *m, int fd, short revents) {
    struct cw_notify *notify = &m->notify;
    uint64_t expirations;
    uint64_t time = now();
    (void)revents;
    sys_read(fd, &expirations, sizeof expirations);
    for (uint32_t i = notify->pending_count; i-- > 0;) {
        if (notify->pending[i].deadline > time) continue;
        deny(m, notify->pending[i].id);
        forget(notify, i);
    }
    set_timer(m);
}

// Node gets the registers and nothing else: what they point to may change while it thinks.
static bool ask_node(struct cw_monitor *m, const struct seccomp_notif *call) {
    struct cw_notify *notify = &m->notify;
    struct event event = {.id = call->id,
                          .pid = call->pid,
                          .arch = call->data.arch,
                          .number = call->data.nr};
    if (!(m->config.notify_flags & CW_NOTIFY_NODE) || notify->pending_count == CW_CALLS_MAX)
        return false;
    memcpy(event.args, call->data.args, sizeof event.args);
    // Without waiting: a Node that hangs must not make the monitor hang.
    if (cw_offer_record(m->control, CW_RECORD_SYSCALL, &event, sizeof event) < 0) return false;
    uint64_t deadline = now() + (uint64_t)m->config.notify_timeout_ms * 1000000;
    notify->pending[notify->pending_count++] = (struct cw_pending_call){call->id, deadline};
    set_timer(m);
    return true;
}

static void hang_up(struct cw_monitor *m) {
    cw_unwatch(m, m->notify.listener);
    cw_close(&m->notify.listener);
}

static void take_call(struct cw_monitor *m, int fd, short revents) {
    struct seccomp_notif call = {0}; // or the kernel refuses it
    if (!(revents & POLLIN)) {
        hang_up(m); // nobody is left whom the filter holds for
        return;
    }
    // A caller that was killed since is none: ENOENT.
    if (sys_ioctl(fd, SECCOMP_IOCTL_NOTIF_RECV, &call) < 0) return;
    struct seccomp_notif_resp response = {.id = call.id};
    if (m->config.notify_flags & CW_NOTIFY_EMULATE_ROOT &&
        cw_emulate_root(&m->notify.emulation, fd, &call, &response))
        answer(m, &response);
    else if (!ask_node(m, &call))
        deny(m, call.id);
}

static int open_notify(struct cw_monitor *m) {
    struct cw_notify *notify = &m->notify;
    long memory = sys_map(CW_CALLS_MAX * sizeof *notify->pending);
    if (memory < 0 && memory > -4096) return (int)memory;
    notify->pending = (void *)memory;
    notify->timer = (int)sys_timerfd();
    if (notify->timer < 0) return notify->timer;
    if (m->config.notify_flags & CW_NOTIFY_EMULATE_ROOT) {
        int error = cw_emulation_open(&notify->emulation, &m->config, &m->fault);
        if (error < 0) return error;
    }
    int error = cw_watch(m, notify->timer, POLLIN, out_of_time);
    return error < 0 ? error : cw_watch(m, notify->listener, POLLIN, take_call);
}

void cw_notify_listen(struct cw_monitor *m, int listener) {
    // The courier may be later than the word that there will be no program: that one stands.
    if (m->faulted || m->notify.came || listener < 0) return;
    m->notify.came = true;
    m->notify.listener = listener;
    cw_at(&m->fault, CW_STEP_NOTIFY, CW_NO_INDEX);
    // Only faster with it: the caller runs on our processor when we answer.
    sys_ioctl(listener, SECCOMP_IOCTL_NOTIF_SET_FLAGS, (const void *)CW_NOTIF_SYNC_WAKE_UP);
    int error = open_notify(m);
    if (error < 0) {
        cw_fail(&m->fault, "notify", error);
        m->faulted = true;
        cw_monitor_kill(m);
    }
}

bool cw_notify_is_complete(const struct cw_monitor *m) {
    return m->config.notify_flags == 0 || m->notify.came;
}

void cw_notify_answer(struct cw_monitor *m, const struct cw_command *command) {
    struct cw_notify *notify = &m->notify;
    struct answer given;
    if (command->size != sizeof given) return;
    memcpy(&given, command->payload, sizeof given);
    for (uint32_t i = 0; i < notify->pending_count; i++) {
        if (notify->pending[i].id != given.id) continue;
        struct seccomp_notif_resp response = {.id = given.id};
        // The one place that lets a call go on: decided by who saw registers only, and those cannot
        // change while the caller waits.
        if (given.flags & CW_ANSWER_CONTINUE)
            response.flags = SECCOMP_USER_NOTIF_FLAG_CONTINUE;
        else if (given.error != 0)
            response.error = -given.error;
        else
            response.val = given.value;
        answer(m, &response);
        forget(notify, i);
        set_timer(m);
        return;
    }
}

void cw_notify_abandon(struct cw_monitor *m) {
    while (m->notify.pending_count > 0) deny(m, m->notify.pending[--m->notify.pending_count].id);
}
