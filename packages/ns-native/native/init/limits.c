// SPDX-License-Identifier: MIT
#include "limits.h"

#include "monitor.h"
#include "procfs.h"
#include "sys.h"

// How often is looked: at memory, which grows by megabytes per millisecond, and at a clock that
// runs no faster than there are processors.
#define CW_SAMPLE_MS 20
#define CW_SAMPLE_CALM_MS 100
#define CW_CALM_PROCESSORS 16
#define CW_FREEZER_MS 2
#define CW_SIGSYS 31

static void set_timer(int timer, uint64_t millis) {
    struct __kernel_timespec now = {0};
    sys_clock(CW_CLOCK_MONOTONIC, &now);
    uint64_t nanos = (uint64_t)now.tv_sec * 1000000000 + (uint64_t)now.tv_nsec;
    sys_timerfd_settime(timer, nanos + millis * 1000000);
}

static uint64_t micros_since(const struct __kernel_timespec *start) {
    struct __kernel_timespec now = {0};
    sys_clock(CW_CLOCK_MONOTONIC, &now);
    return (uint64_t)(now.tv_sec - start->tv_sec) * 1000000 +
           (uint64_t)((now.tv_nsec - start->tv_nsec) / 1000);
}

static int prepare_to_look(struct cw_monitor *m, struct cw_fault *fault) {
    struct cw_limits_state *limits = &m->limits;
    if (limits->tree != NULL) return 0;
    if (limits->proc < 0) limits->proc = cw_proc_open(fault);
    if (limits->proc < 0) return limits->proc;
    long memory = sys_map(sizeof *limits->tree);
    if (memory < 0 && memory > -4096) return cw_fail(fault, "mmap", memory);
    limits->tree = (void *)memory;
    return 0;
}

static void set_if_unknown(struct cw_usage *usage, unsigned figure, uint64_t value,
                           uint8_t source) {
    if (usage->sources[figure] == 0) cw_usage_set(usage, figure, value, source);
}

// What the container's processes say, for figures that no group has.
static void look(struct cw_monitor *m, struct cw_usage *usage) {
    struct cw_limits_state *limits = &m->limits;
    struct cw_fault ignored;
    uint64_t allowed = m->config.limits.memory_bytes;
    if (m->dead || prepare_to_look(m, &ignored) < 0) return;
    struct cw_tree *tree = limits->tree;
    cw_tree_look(limits->proc, (uint32_t)m->pid, tree);
    uint64_t memory = tree->memory;
    // What processes share is counted too often; exactness is dear, and only now needed.
    if (allowed != 0 && memory > allowed) {
        uint64_t exact = cw_tree_proportional(limits->proc, tree);
        if (exact != 0) memory = exact;
    }
    uint64_t pids = tree->threads > 0 ? tree->threads - 1 : 0; // without init
    if (memory > limits->peak_memory) limits->peak_memory = memory;
    if (pids > limits->peak_pids) limits->peak_pids = pids;
    if (tree->user_micros > limits->user_micros) limits->user_micros = tree->user_micros;
    if (tree->system_micros > limits->system_micros) limits->system_micros = tree->system_micros;
    set_if_unknown(usage, CW_FIGURE_MEMORY_NOW, memory, CW_SOURCE_SAMPLED);
    set_if_unknown(usage, CW_FIGURE_PIDS_NOW, pids, CW_SOURCE_SAMPLED);
    set_if_unknown(usage, CW_FIGURE_CPU_USER, tree->user_micros, CW_SOURCE_SAMPLED);
    set_if_unknown(usage, CW_FIGURE_CPU_SYSTEM, tree->system_micros, CW_SOURCE_SAMPLED);
}

static bool has_group(const struct cw_monitor *m) { return m->config.cgroup_count > 0; }

void cw_limits_end(struct cw_monitor *m, uint32_t reason) {
    struct cw_usage usage = {0};
    if (m->limits.reason == 0) {
        m->limits.reason = reason;
        cw_attach_tell(m, CW_RECORD_LIMIT, &reason, sizeof reason);
        // The kernel does not add up the time of those who die with their PID 1.
        if (reason != CW_REASON_PIDS && !has_group(m)) look(m, &usage);
    }
    cw_monitor_kill(m);
}

static bool needs_looking(const struct cw_limits *allowed, const struct cw_usage *usage) {
    return allowed->memory_bytes != 0 || allowed->pids != 0 ||
           (allowed->cpu_micros != 0 && usage->sources[CW_FIGURE_CPU_USER] == 0);
}

static bool needs_sampling(const struct cw_limits *allowed) {
    return allowed->memory_bytes != 0 || allowed->pids != 0 || allowed->cpu_micros != 0;
}

static void send_frozen(struct cw_monitor *m, bool frozen, int error) {
    uint32_t payload[] = {frozen, (uint32_t)-error};
    m->limits.freezing = frozen ? CW_FROZEN : CW_RUNS;
    cw_attach_tell(m, CW_RECORD_FROZEN, payload, sizeof payload);
}

static bool is_changing(const struct cw_limits_state *limits) {
    return limits->freezing == CW_FREEZES || limits->freezing == CW_THAWS;
}

static void judge(struct cw_monitor *m) {
    const struct cw_limits *allowed = &m->config.limits;
    struct cw_usage usage = {0};
    cw_cgroup_read(m, &usage);
    if (needs_looking(allowed, &usage)) look(m, &usage);
    uint64_t cpu = usage.values[CW_FIGURE_CPU_USER] + usage.values[CW_FIGURE_CPU_SYSTEM];
    if (allowed->memory_bytes != 0 && usage.values[CW_FIGURE_MEMORY_NOW] > allowed->memory_bytes)
        cw_limits_end(m, CW_REASON_MEMORY);
    if (allowed->pids != 0 && usage.values[CW_FIGURE_PIDS_NOW] > allowed->pids)
        cw_limits_end(m, CW_REASON_PIDS);
    if (allowed->cpu_micros != 0 && cpu >= allowed->cpu_micros) cw_limits_end(m, CW_REASON_CPU);
    bool calm = allowed->memory_bytes == 0 && allowed->pids == 0 &&
                cpu + CW_SAMPLE_CALM_MS * 1000ULL * CW_CALM_PROCESSORS < allowed->cpu_micros;
    set_timer(m->limits.sample_timer, calm ? CW_SAMPLE_CALM_MS : CW_SAMPLE_MS);
}

static void wall_ready(struct cw_monitor *m, int fd, short revents) {
    uint64_t expirations;
    (void)revents;
    sys_read(fd, &expirations, sizeof expirations);
    if (!m->dead) cw_limits_end(m, CW_REASON_WALL);
}

static void sample_ready(struct cw_monitor *m, int fd, short revents) {
    uint64_t expirations;
    (void)revents;
    sys_read(fd, &expirations, sizeof expirations);
    if (m->dead) return;
    bool wanted = m->limits.freezing == CW_FREEZES;
    if (needs_sampling(&m->config.limits)) judge(m);
    if (!is_changing(&m->limits)) return;
    if (cw_cgroup_is_frozen(m) == wanted)
        send_frozen(m, wanted, 0);
    else
        set_timer(fd, CW_FREEZER_MS);
}

static int open_timer(struct cw_monitor *m, int *timer, cw_ready *ready) {
    if (*timer >= 0) return 0;
    *timer = (int)sys_timerfd();
    return *timer < 0 ? *timer : cw_watch(m, *timer, POLLIN, ready);
}

int cw_limits_open(struct cw_monitor *m) {
    const struct cw_limits *allowed = &m->config.limits;
    struct cw_limits_state *limits = &m->limits;
    cw_at(&m->fault, CW_STEP_LIMITS, CW_NO_INDEX);
    if (allowed->wall_ms != 0)
        CW_TRY(&m->fault, "timerfd_create", open_timer(m, &limits->wall_timer, wall_ready));
    if (!needs_sampling(allowed)) return 0;
    CW_TRY(&m->fault, "timerfd_create", open_timer(m, &limits->sample_timer, sample_ready));
    return prepare_to_look(m, &m->fault);
}

// Tells once that a group of version 2 counts something; what it means is judged at the end.
static void tell_event(struct cw_monitor *m, int fd, const char *key, uint32_t reason) {
    char text[512];
    long size = sys_pread(fd, text, sizeof text - 1, 0);
    text[size < 0 ? 0 : size] = '\0';
    if (!m->dead && cw_text_sum(text, key) == 0) return;
    if (!m->dead) cw_attach_tell(m, CW_RECORD_LIMIT, &reason, sizeof reason);
    cw_unwatch(m, fd);
    sys_close(fd);
}

static void memory_event(struct cw_monitor *m, int fd, short revents) {
    (void)revents;
    tell_event(m, fd, "oom_kill ", CW_REASON_MEMORY);
}

static void pids_event(struct cw_monitor *m, int fd, short revents) {
    (void)revents;
    tell_event(m, fd, "max ", CW_REASON_PIDS);
}

static void watch_events(struct cw_monitor *m, uint32_t role, const char *name, cw_ready *ready) {
    char text[64];
    int file = cw_cgroup_file(m, role, name, O_RDONLY);
    if (file < 0) return;
    sys_pread(file, text, sizeof text, 0); // poll tells of changes after this
    if (cw_watch(m, file, POLLPRI, ready) < 0) sys_close(file);
}

void cw_limits_start(struct cw_monitor *m) {
    const struct cw_limits *allowed = &m->config.limits;
    sys_clock(CW_CLOCK_MONOTONIC, &m->limits.started);
    if (allowed->wall_ms != 0) set_timer(m->limits.wall_timer, allowed->wall_ms);
    if (needs_sampling(allowed)) set_timer(m->limits.sample_timer, CW_SAMPLE_MS);
    if (m->config.cgroup_count == 0) return;
    watch_events(m, CW_ROLE_MEMORY, "memory.events", memory_event);
    watch_events(m, CW_ROLE_PIDS, "pids.events", pids_event);
    cw_cgroup_sweep(m);
}

void cw_limits_stop(struct cw_monitor *m) {
    m->limits.last.wall_micros = micros_since(&m->limits.started);
    cw_cgroup_kill(m); // who did not depend on init
}

static void freeze(struct cw_monitor *m, bool frozen) {
    int error = open_timer(m, &m->limits.sample_timer, sample_ready);
    if (error == 0) error = cw_cgroup_freeze(m, frozen);
    m->limits.freezing = frozen ? CW_FREEZES : CW_THAWS;
    if (error < 0)
        send_frozen(m, false, error);
    else
        set_timer(m->limits.sample_timer, CW_FREEZER_MS);
}

static void answer(struct cw_monitor *m, int control, uint32_t token) {
    struct cw_usage_record payload = {.token = token,
                                    .wall_micros = micros_since(&m->limits.started)};
    cw_cgroup_read(m, &payload.usage);
    for (unsigned i = 0; i < CW_FIGURES; i++)
        if (payload.usage.sources[i] == 0) {
            look(m, &payload.usage);
            break;
        }
    cw_send_record(control, CW_RECORD_USAGE, &payload, sizeof payload);
}

void cw_limits_obey(struct cw_monitor *m, int control, const struct cw_command *command) {
    uint32_t value = cw_command_u32(command, 0);
    if (!m->started || m->dead) return;
    if (command->type == CW_RECORD_ASK_USAGE) answer(m, control, value);
    if (command->type == CW_RECORD_FREEZE) freeze(m, value != 0);
}

void cw_limits_look_at_output(struct cw_monitor *m) {
    // It may write before init has told us that it runs.
    if (m->started && m->relay.exceeded && m->limits.reason == 0) cw_limits_end(m, CW_REASON_OUTPUT);
}

static uint64_t micros(const struct __kernel_old_timeval *time) {
    return (uint64_t)time->tv_sec * 1000000 + (uint64_t)time->tv_usec;
}

// Neither sees everything: what was not waited for, what came and went between two looks.
static void set_larger(struct cw_usage *usage, unsigned figure, uint64_t waited, uint64_t sampled) {
    bool more = sampled > waited;
    set_if_unknown(usage, figure, more ? sampled : waited,
                   more ? CW_SOURCE_SAMPLED : CW_SOURCE_RUSAGE);
}

static uint32_t reason_of(const struct cw_monitor *m, const struct cw_usage *usage) {
    uint32_t signal = (uint32_t)m->status & 0x7f;
    if (m->limits.reason != 0) return m->limits.reason;
    if (signal == CW_SIGSYS) return CW_REASON_SECCOMP;
    // Only a program that failed was stopped by a limit; others have coped.
    if (m->status != 0 && !m->limits.signalled) {
        if (usage->values[CW_FIGURE_OOM_KILLS] > 0) return CW_REASON_MEMORY;
        if (usage->values[CW_FIGURE_PIDS_DENIED] > 0) return CW_REASON_PIDS;
    }
    return signal != 0 ? CW_REASON_SIGNAL : CW_REASON_EXIT;
}

uint32_t cw_limits_finish(struct cw_monitor *m) {
    struct cw_usage_record *last = &m->limits.last;
    struct cw_usage *usage = &last->usage;
    uint64_t largest = (uint64_t)m->usage.ru_maxrss * 1024; // of one process
    cw_limits_look_at_output(m); // there may have been more in the pipes
    cw_cgroup_read(m, usage);
    set_larger(usage, CW_FIGURE_CPU_USER, micros((const void *)&m->usage.ru_utime),
               m->limits.user_micros);
    set_larger(usage, CW_FIGURE_CPU_SYSTEM, micros((const void *)&m->usage.ru_stime),
               m->limits.system_micros);
    set_larger(usage, CW_FIGURE_MEMORY_PEAK, largest, m->limits.peak_memory);
    if (m->limits.peak_pids > 0)
        set_if_unknown(usage, CW_FIGURE_PIDS_PEAK, m->limits.peak_pids, CW_SOURCE_SAMPLED);
    if (m->config.limits.output_bytes != 0)
        cw_usage_set(usage, CW_FIGURE_OUTPUT, m->relay.output, CW_SOURCE_MONITOR);
    last->reason = reason_of(m, usage);
    return last->reason;
}

void cw_limits_tell(const struct cw_monitor *m, int control) {
    struct cw_outgoing usage = {CW_RECORD_USAGE, &m->limits.last, sizeof m->limits.last};
    cw_send_end(control, &usage, m->status, &m->usage);
}

int cw_limits_of_program(const struct cw_config *config, struct cw_fault *fault) {
    struct rlimit64 limit = {config->limits.nproc, config->limits.nproc};
    if (config->limits.nproc == 0) return 0;
    cw_at(fault, CW_STEP_LIMITS, CW_NO_INDEX);
    CW_TRY(fault, "prlimit64", sys_prlimit(0, CW_RLIMIT_NPROC, &limit, NULL));
    return 0;
}
