// SPDX-License-Identifier: MIT
// Makes one system call of one process of a launch fail, or kills the process there. What `strace -e
// inject` does, but for one process of the tree: strace counts in each, so that the monitor's first
// mount and init's cannot be told apart. Run as the interpreter of a case file:
//
//     #!/path/of/inject
//     /path/of/cromwell-init
//     /path/of/report
//     ROLE CALL OCCURRENCE ERROR      ERROR 0: SIGKILL instead; ROLE -1: only write down all calls
//
// The report appears when it is complete.
//
// Roles are numbered as processes appear: 0 the monitor. The report has a line for each: "call ROLE
// NUMBER" (when only writing down), "role ROLE PARENT", "injected", "left ROLE", "hang".
#define _GNU_SOURCE
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/user.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define ROLES_MAX 64
#define CALLS_MAX 512
#define HANG_MS 2000
#define GRACE_MS 500

struct role {
    pid_t pid;
    int parent;
    int counts[CALLS_MAX];
    int executed; // times it became another program
    int entered;  // between entry and exit of a call
    int spoiled;  // the call in progress is to fail
    int alive;
};

static struct role roles[ROLES_MAX];
static int role_count;
static FILE *report;
static int wanted_role, wanted_call, wanted_occurrence, wanted_error;

static long now_ms(void) {
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return time.tv_sec * 1000 + time.tv_nsec / 1000000;
}

static pid_t parent_of(pid_t pid) {
    char path[64], line[256];
    pid_t parent = -1;
    snprintf(path, sizeof path, "/proc/%d/status", pid);
    FILE *file = fopen(path, "r");
    while (file != NULL && fgets(line, sizeof line, file) != NULL)
        if (sscanf(line, "PPid: %d", &parent) == 1) break;
    if (file != NULL) fclose(file);
    return parent;
}

static struct role *role_of(pid_t pid) {
    for (int i = 0; i < role_count; i++)
        if (roles[i].pid == pid) return &roles[i];
    if (role_count == ROLES_MAX) exit(99);
    struct role *role = &roles[role_count++];
    *role = (struct role){.pid = pid, .parent = -1, .alive = 1};
    pid_t parent = parent_of(pid);
    for (int i = 0; i < role_count; i++)
        if (roles[i].pid == parent) role->parent = i;
    fprintf(report, "role %d %d\n", role_count - 1, role->parent);
    return role;
}

// The helper's own calls: those of what it executes are somebody else's.
static int is_helper(const struct role *role) {
    return role == &roles[0] ? role->executed > 0 : role->executed == 0;
}

static void on_entry(struct role *role, struct user_regs_struct *registers) {
    long call = (long)registers->orig_rax;
    int index = (int)(role - roles);
    if (call < 0 || call >= CALLS_MAX || !is_helper(role)) return;
    role->counts[call]++;
    if (wanted_role < 0) fprintf(report, "call %d %ld\n", index, call);
    if (index != wanted_role || call != wanted_call) return;
    if (role->counts[call] != wanted_occurrence) return;
    fprintf(report, "injected\n");
    if (wanted_error == 0) {
        kill(role->pid, SIGKILL);
        return;
    }
    role->spoiled = 1;
    if (call == SYS_close) return; // Linux closes even when it reports an error: close(2)
    registers->orig_rax = (unsigned long long)-1;
    ptrace(PTRACE_SETREGS, role->pid, 0, registers);
}

static void on_call(struct role *role) {
    struct user_regs_struct registers;
    if (ptrace(PTRACE_GETREGS, role->pid, 0, &registers) < 0) return;
    role->entered = !role->entered;
    if (role->entered) {
        on_entry(role, &registers);
    } else if (role->spoiled) {
        role->spoiled = 0;
        registers.rax = (unsigned long long)-wanted_error;
        ptrace(PTRACE_SETREGS, role->pid, 0, &registers);
    }
}

static void on_stop(struct role *role, int status) {
    int signal = WSTOPSIG(status);
    int event = status >> 16;
    int deliver = 0;
    if (signal == (SIGTRAP | 0x80))
        on_call(role);
    else if (event == PTRACE_EVENT_EXEC)
        role->executed++;
    else if (event == 0)
        deliver = signal;
    ptrace(PTRACE_SYSCALL, role->pid, 0, deliver);
}

static int any_alive(void) {
    for (int i = 0; i < role_count; i++)
        if (roles[i].alive) return 1;
    return 0;
}

static void kill_rest(const char *word) {
    for (int i = 0; i < role_count; i++) {
        if (!roles[i].alive) continue;
        fprintf(report, "%s %d\n", word, i);
        kill(roles[i].pid, SIGKILL);
    }
    fflush(report);
    while (waitpid(-1, NULL, __WALL) > 0) {}
}

// Until all are gone; what outlives the monitor by more than a moment was left behind.
static void follow(void) {
    long start = now_ms();
    long monitor_end = 0;
    while (any_alive()) {
        int status;
        long limit = monitor_end != 0 ? monitor_end + GRACE_MS : start + HANG_MS;
        pid_t pid = waitpid(-1, &status, __WALL); // a timer ends it now and then
        if (now_ms() > limit) {
            kill_rest(monitor_end != 0 ? "left" : "hang");
            return;
        }
        if (pid < 0 && errno == EINTR) continue;
        if (pid < 0) return;
        struct role *role = role_of(pid);
        if (WIFSTOPPED(status)) {
            on_stop(role, status);
            continue;
        }
        role->alive = 0;
        if (role == &roles[0]) monitor_end = now_ms();
    }
}

static void line_of(FILE *file, char *line, int size) {
    if (fgets(line, size, file) == NULL) exit(98);
    line[strcspn(line, "\n")] = '\0';
}

static void on_timer(int signal) { (void)signal; }

static void start_timer(void) {
    struct sigaction action = {.sa_handler = on_timer};
    struct itimerval every = {{0, 20000}, {0, 20000}};
    sigset_t none;
    sigemptyset(&none); // the helper is started with all signals blocked, and so are we
    sigprocmask(SIG_SETMASK, &none, NULL);
    sigaction(SIGALRM, &action, NULL);
    setitimer(ITIMER_REAL, &every, NULL);
}

int main(int argc, char **argv) {
    char line[4096], helper[4096], complete[4096], partial[4100];
    int gate[2];
    FILE *file = argc == 2 ? fopen(argv[1], "re") : NULL;
    if (file == NULL) return 97;
    line_of(file, line, sizeof line); // the one that names this program
    line_of(file, helper, sizeof helper);
    line_of(file, complete, sizeof complete);
    snprintf(partial, sizeof partial, "%s.tmp", complete);
    report = fopen(partial, "we");
    line_of(file, line, sizeof line);
    if (report == NULL || sscanf(line, "%d %d %d %d", &wanted_role, &wanted_call,
                                 &wanted_occurrence, &wanted_error) != 4)
        return 96;
    fclose(file);
    if (pipe2(gate, 02000000) < 0) return 95;
    pid_t child = fork();
    if (child == 0) {
        char go;
        char *const arguments[] = {(char *)"cromwell-init", NULL};
        char *const environment[] = {NULL};
        if (read(gate[0], &go, 1) == 1) execve(helper, arguments, environment);
        _exit(94);
    }
    long options = PTRACE_O_TRACESYSGOOD | PTRACE_O_TRACEFORK | PTRACE_O_TRACEVFORK |
                   PTRACE_O_TRACECLONE | PTRACE_O_TRACEEXEC;
    if (ptrace(PTRACE_SEIZE, child, 0, options) < 0) return 93;
    ptrace(PTRACE_INTERRUPT, child, 0, 0);
    role_of(child);
    if (write(gate[1], "g", 1) != 1) return 92;
    // Node is to see the ends of what the helper holds, not of copies here.
    for (int fd = 0; fd < 10; fd++)
        if (fd != fileno(report)) close(fd);
    start_timer();
    follow();
    fclose(report);
    return rename(partial, complete) < 0 ? 91 : 0;
}
