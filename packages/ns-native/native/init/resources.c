// SPDX-License-Identifier: MIT
#include "resources.h"

#include "procfs.h"
#include "sys.h"

#define CW_IOPRIO_WHO_PROCESS 1
#define CW_SCHED_OTHER 0
#define CW_SCHED_FIFO 1
#define CW_SCHED_RR 2
#define CW_SCHED_DEADLINE 6

// A launcher's real-time scheduling is not for the program: it could keep others from running.
static int leave_real_time(int pid, struct cw_fault *fault) {
    int priority = 0;
    long policy = sys_sched_getscheduler(0) & 0xff; // without SCHED_RESET_ON_FORK
    if (policy == CW_SCHED_FIFO || policy == CW_SCHED_RR || policy == CW_SCHED_DEADLINE)
        CW_TRY(fault, "sched_setscheduler",
               sys_sched_setscheduler(pid, CW_SCHED_OTHER, &priority));
    return 0;
}

// A raised priority of the launcher is not passed on; a lowered one cannot be taken back.
static int set_nice(const struct cw_privilege *privilege, int pid, struct cw_fault *fault) {
    bool wanted = cw_is_set(privilege, CW_SETTING_NICE);
    long own = 20 - sys_getpriority(0); // the system call's answer is from 40 to 1
    long nice = wanted ? (long)privilege->nice : own < 0 ? 0 : own;
    if (nice != own) CW_TRY(fault, "setpriority", sys_setpriority(pid, nice));
    return 0;
}

static int set_io_priority(const struct cw_privilege *privilege, int pid, struct cw_fault *fault) {
    long value = (long)privilege->io_priority; // zero: none of its own, it follows the nice value
    if (value != 0 || sys_ioprio_get(CW_IOPRIO_WHO_PROCESS, 0) > 0)
        CW_TRY(fault, "ioprio_set", sys_ioprio_set(CW_IOPRIO_WHO_PROCESS, pid, value));
    return 0;
}

// All processors of our cpuset unless some are named: the launcher may be tied to one of them.
static int set_affinity(const struct cw_privilege *privilege, int pid, struct cw_fault *fault) {
    uint64_t all[CW_CPUS_MAX / 64];
    bool wanted = cw_is_set(privilege, CW_SETTING_CPU);
    memset(all, 0xff, sizeof all);
    CW_TRY(fault, "sched_setaffinity",
           sys_sched_setaffinity(pid, sizeof all, wanted ? privilege->cpus : all));
    return 0;
}

static bool is_protected_from_oom(int proc) {
    char first = '0';
    CW_AUTO_FD file = cw_proc_open_of(proc, 0, "oom_score_adj", O_RDONLY);
    return file >= 0 && sys_read(file, &first, 1) == 1 && first == '-';
}

static int set_oom_score(const struct cw_privilege *privilege, int proc, int pid,
                         struct cw_fault *fault) {
    char number[24];
    struct cw_text text = CW_TEXT(number);
    int64_t score = privilege->oom_score_adj;
    if (!cw_is_set(privilege, CW_SETTING_OOM_SCORE_ADJ) && !is_protected_from_oom(proc)) return 0;
    cw_at(fault, CW_STEP_OOMSCORE, CW_NO_INDEX);
    if (score < 0) cw_text_add(&text, "-");
    cw_text_add_number(&text, (uint64_t)(score < 0 ? -score : score), 1);
    return cw_proc_write(proc, pid, "oom_score_adj", &text, fault);
}

// Only the hard limits that have to be raised: that takes CAP_SYS_RESOURCE out here.
static int raise_rlimits(const struct cw_privilege *privilege, int pid, struct cw_fault *fault) {
    struct rlimit64 own;
    for (uint32_t i = 0; i < privilege->rlimit_count; i++) {
        const struct cw_rlimit *limit = &privilege->rlimits[i];
        cw_at(fault, CW_STEP_RLIMIT, i);
        CW_TRY(fault, "prlimit64", sys_prlimit(0, limit->resource, NULL, &own));
        if (limit->hard <= own.rlim_max) continue;
        own.rlim_max = limit->hard;
        CW_TRY(fault, "prlimit64", sys_prlimit(pid, limit->resource, &own, NULL));
    }
    return 0;
}

bool cw_resources_take_rights(const struct cw_config *config) {
    const struct cw_privilege *privilege = &config->privilege;
    return privilege->rlimit_count > 0 || cw_is_set(privilege, CW_SETTING_OOM_SCORE_ADJ) ||
           cw_is_set(privilege, CW_SETTING_NICE) || cw_is_set(privilege, CW_SETTING_IO_PRIORITY) ||
           cw_is_set(privilege, CW_SETTING_CPU);
}

int cw_resources_rank(const struct cw_config *config, int proc, int pid, struct cw_fault *fault) {
    const struct cw_privilege *privilege = &config->privilege;
    cw_at(fault, CW_STEP_SCHED, CW_NO_INDEX);
    int error = leave_real_time(pid, fault);
    if (error == 0) error = set_nice(privilege, pid, fault);
    if (error == 0) error = set_io_priority(privilege, pid, fault);
    if (error == 0) error = set_affinity(privilege, pid, fault);
    if (error == 0) error = set_oom_score(privilege, proc, pid, fault);
    return error < 0 ? error : raise_rlimits(privilege, pid, fault);
}

int cw_resources_limit(const struct cw_config *config, struct cw_fault *fault) {
    for (uint32_t i = 0; i < config->privilege.rlimit_count; i++) {
        const struct cw_rlimit *limit = &config->privilege.rlimits[i];
        struct rlimit64 wanted = {.rlim_cur = limit->soft, .rlim_max = limit->hard};
        cw_at(fault, CW_STEP_RLIMIT, i);
        CW_TRY(fault, "prlimit64", sys_prlimit(0, limit->resource, &wanted, NULL));
    }
    return 0;
}
