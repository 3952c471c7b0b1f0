// SPDX-License-Identifier: MIT
// Starts a program without copying Node's memory, whatever its size, and with few system calls:
// posix_spawn(3) makes one for each signal and two for each descriptor.
#include "native.h"

#include <linux/sched.h>
#include <signal.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#define CW_STACK_SIZE 4096
#define CW_AT_EMPTY_PATH 0x1000

struct start {
    int file;
    const char *path;
    const int *fds;
    int count;
    long error; // of execve, for the parent: the memory is one and the same
};

#if defined(__x86_64__)
static long call(long n, long a, long b, long c, long d, long e) {
    register long r8 __asm__("r8") = e;
    register long r10 __asm__("r10") = d;
    long result;
    __asm__ volatile("syscall"
                     : "=a"(result)
                     : "a"(n), "D"(a), "S"(b), "d"(c), "r"(r10), "r"(r8)
                     : "rcx", "r11", "memory");
    return result;
}
#elif defined(__aarch64__)
static long call(long n, long a, long b, long c, long d, long e) {
    register long x8 __asm__("x8") = n;
    register long x0 __asm__("x0") = a;
    register long x1 __asm__("x1") = b;
    register long x2 __asm__("x2") = c;
    register long x3 __asm__("x3") = d;
    register long x4 __asm__("x4") = e;
    __asm__ volatile("svc 0"
                     : "+r"(x0)
                     : "r"(x8), "r"(x1), "r"(x2), "r"(x3), "r"(x4)
                     : "memory");
    return x0;
}
#endif

// In the child, on a stack of its own but in the parent's memory: nothing but system calls. All
// signals stay blocked, so that no handler of Node's runs here; the helper begins by blocking them.
static void run(struct start *start) {
    static const char *const argv[] = {"cromwell-init", NULL};
    static const char *const envp[] = {NULL};
    for (int i = 0; i < start->count; i++)
        if (start->fds[i] >= 0) call(SYS_dup3, start->fds[i], i, 0, 0, 0);
    if (start->file >= 0)
        start->error = call(SYS_execveat, start->file, (long)"", (long)argv, (long)envp, CW_AT_EMPTY_PATH);
    // where a filter does not know that call, by its name in /proc
    if (start->file < 0 || start->error < 0)
        start->error = call(SYS_execve, (long)start->path, (long)argv, (long)envp, 0, 0);
    for (;;) call(SYS_exit, 127, 0, 0, 0, 0);
}

// clone(2), with which the child returns on the given stack, but with our registers.
static long clone_and_run(unsigned long flags, void *stack, struct start *start) {
#if defined(__x86_64__)
    long result = SYS_clone;
    register void *function __asm__("r8") = (void *)run;
    register void *argument __asm__("r9") = start;
    __asm__ volatile("syscall\n"
                     "test %%rax, %%rax\n"
                     "jnz 1f\n"
                     "xor %%ebp, %%ebp\n"
                     "mov %%r9, %%rdi\n"
                     "call *%%r8\n"
                     "hlt\n"
                     "1:\n"
                     : "+a"(result)
                     : "D"(flags), "S"(stack), "r"(function), "r"(argument)
                     : "rcx", "r11", "memory");
    return result;
#else
    register long x8 __asm__("x8") = SYS_clone;
    register long x0 __asm__("x0") = (long)flags;
    register void *x1 __asm__("x1") = stack;
    register void *x9 __asm__("x9") = (void *)run;
    register void *x10 __asm__("x10") = start;
    __asm__ volatile("svc 0\n"
                     "cbnz x0, 1f\n"
                     "mov x29, #0\n"
                     "mov x0, x10\n"
                     "blr x9\n"
                     "brk #0\n"
                     "1:\n"
                     : "+r"(x0)
                     : "r"(x8), "r"(x1), "r"(x9), "r"(x10)
                     : "memory");
    return x0;
#endif
}

int cw_start(int file, const char *path, const int *fds, int count, int32_t *pid) {
    char stack[CW_STACK_SIZE] __attribute__((aligned(16)));
    struct start start = {.file = file, .path = path, .fds = fds, .count = count};
    uint64_t all = ~0ULL;
    uint64_t before;
    call(SYS_rt_sigprocmask, SIG_SETMASK, (long)&all, (long)&before, 8, 0);
    long child = clone_and_run(CLONE_VM | CLONE_VFORK | SIGCHLD, stack + sizeof stack, &start);
    call(SYS_rt_sigprocmask, SIG_SETMASK, (long)&before, 0, 8, 0);
    if (child < 0) return (int)child;
    if (start.error != 0) {
        waitpid((pid_t)child, NULL, 0); // it ends at once
        return (int)start.error;
    }
    *pid = (int32_t)child;
    return 0;
}
