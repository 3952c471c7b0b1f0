// SPDX-License-Identifier: MIT
#include "uplink.h"

#include "descriptors.h"
#include "monitor.h"
#include "sys.h"

#define CW_READY_MS 10000
#define CW_READY_FD 3 /* where the program says that it is ready */
#define CW_ARGUMENTS_MAX 32
#define CW_PID_PLACEHOLDER "%p"

struct pipes {
    int lifeline[2];
    int ready[2];
    int complaints[2];
};

static int open_pipes(struct pipes *pipes, struct cw_fault *fault) {
    CW_TRY(fault, "pipe2", sys_pipe2(pipes->lifeline, O_CLOEXEC));
    CW_TRY(fault, "pipe2", sys_pipe2(pipes->ready, O_CLOEXEC));
    // A program that complains much and is never read loses its words, and does not stand still.
    CW_TRY(fault, "pipe2", sys_pipe2(pipes->complaints, O_CLOEXEC | O_NONBLOCK));
    return 0;
}

// Standard input is /dev/null, as the monitor's; the environment is empty.
static _Noreturn void exec_program(const struct cw_strings *arguments, int pid,
                                   const struct pipes *pipes) {
    static const char *const no_environment[] = {NULL};
    const char *argv[CW_ARGUMENTS_MAX + 1];
    char number[16] = "";
    struct cw_text text = CW_TEXT(number);
    cw_text_add_number(&text, (uint64_t)pid, 1);
    for (uint32_t i = 0; i <= arguments->count; i++) {
        argv[i] = arguments->items[i];
        if (i < arguments->count && cw_same(argv[i], CW_PID_PLACEHOLDER)) argv[i] = number;
    }
    // What it prints is no sign of being ready: slirp4netns warns on its standard output.
    sys_dup3(pipes->complaints[1], 1, 0);
    sys_dup3(pipes->complaints[1], 2, 0);
    if (pipes->ready[1] == CW_READY_FD)
        sys_fcntl(CW_READY_FD, F_SETFD, 0);
    else
        sys_dup3(pipes->ready[1], CW_READY_FD, 0);
    sys_close_range(CW_READY_FD + 1, ~0U, 0);
    for (int signal = 1; signal <= CW_SIGNAL_MAX; signal++) sys_sigdefault(signal);
    sys_sigmask(CW_SIG_SETMASK, 0);
    sys_execve(argv[0], argv, no_environment);
    sys_exit(127);
}

// The program's parent, for the case that the monitor is killed: the end of the lifeline is the end of
// both. PDEATHSIG would not do, for it is lost when a program changes its credentials.
static _Noreturn void keep(const struct cw_strings *arguments, int pid, struct pipes *pipes) {
    int program;
    int child = (int)sys_clone(CW_SIGCHLD | CLONE_PIDFD, &program);
    if (child == 0) exec_program(arguments, pid, pipes);
    int kept[] = {pipes->lifeline[0], program};
    cw_close_others(kept, child < 0 ? 1 : 2);
    if (child < 0) sys_exit(1);
    struct pollfd polls[] = {{.fd = pipes->lifeline[0], .events = POLLIN},
                             {.fd = program, .events = POLLIN}};
    while (sys_poll(polls, 2, -1) < 0) continue;
    sys_pidfd_send_signal(program, CW_SIGKILL);
    sys_wait4(child, NULL, 0, NULL);
    sys_exit(0);
}

static int fail_with_complaints(const struct pipes *pipes, struct cw_fault *fault) {
    char words[sizeof fault->detail];
    long size = sys_read(pipes->complaints[0], words, sizeof words - 1);
    while (size > 0 && words[size - 1] == '\n') size--;
    struct cw_text detail = CW_TEXT(fault->detail);
    if (size > 0) cw_text_add_bytes(&detail, words, (size_t)size);
    return cw_fail(fault, "execve", -ECONNABORTED);
}

static int await_ready(struct cw_monitor *m, const struct pipes *pipes) {
    char byte;
    struct pollfd polls[] = {{.fd = pipes->ready[0], .events = POLLIN},
                             {.fd = m->control, .events = 0}}; // its end only
    long ready = CW_TRY(&m->fault, "ppoll", sys_poll(polls, 2, CW_READY_MS));
    if (ready == 0) return cw_fail(&m->fault, "ppoll", -ETIMEDOUT);
    if (polls[1].revents != 0) return cw_fail(&m->fault, "ppoll", -EPIPE);
    if (sys_read(pipes->ready[0], &byte, 1) != 1) return fail_with_complaints(pipes, &m->fault);
    return 0;
}

int cw_uplink_start(struct cw_monitor *m) {
    const struct cw_strings *arguments = &m->config.uplink;
    struct pipes pipes;
    if (arguments->count == 0) return 0;
    cw_at(&m->fault, CW_STEP_NET_UPLINK, CW_NO_INDEX);
    if (arguments->count > CW_ARGUMENTS_MAX) return cw_fail(&m->fault, "execve", -E2BIG);
    int error = open_pipes(&pipes, &m->fault);
    if (error < 0) return error;
    m->uplink.keeper = (int)CW_TRY(&m->fault, "clone", sys_clone(CW_SIGCHLD, NULL));
    if (m->uplink.keeper == 0) keep(arguments, m->pid, &pipes);
    m->uplink.lifeline = pipes.lifeline[1];
    sys_close(pipes.lifeline[0]);
    sys_close(pipes.ready[1]);
    sys_close(pipes.complaints[1]);
    // The ends that are read stay open, for who writes to a pipe that nobody reads is killed.
    return await_ready(m, &pipes);
}

void cw_uplink_stop(struct cw_monitor *m) {
    if (m->uplink.keeper <= 0) return;
    sys_close(m->uplink.lifeline);
    sys_wait4(m->uplink.keeper, NULL, 0, NULL);
    m->uplink.keeper = 0;
}
