/*
 * Installs the seccomp program it reads on stdin, makes some calls, and prints what came of each:
 * "name 0" or "name ERRNO". The numbers are those of the system's headers, not of our table.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#define TRY(name, ...)                                                                             \
    do {                                                                                           \
        long got = syscall(__VA_ARGS__);                                                           \
        printf("%s %d\n", name, got < 0 ? errno : 0);                                              \
    } while (0)

/* In a child of its own, which the call may end. */
static void try_foreign_call(void)
{
#ifdef __x86_64__
    int status;
    fflush(stdout);
    pid_t child = fork();
    if (child == 0) {
        long number = 20; /* getpid of i386 */
        __asm__ volatile("int $0x80" : "+a"(number)::"memory");
        _exit(0);
    }
    waitpid(child, &status, 0);
    printf("i386 signal %d\n", WIFSIGNALED(status) ? WTERMSIG(status) : 0);
#endif
}

int main(void)
{
    static struct sock_filter code[BPF_MAXINSNS];
    size_t count = fread(code, sizeof code[0], BPF_MAXINSNS, stdin);
    struct sock_fprog program = {.len = (unsigned short)count, .filter = code};

    if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) || syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, 0, &program)) {
        perror("cannot install the filter");
        return 1;
    }
    TRY("getpid", SYS_getpid);
    TRY("clone3", SYS_clone3, NULL, 0L);
    TRY("mount", SYS_mount, NULL, NULL, NULL, 0L, NULL);
    TRY("setns", SYS_setns, -1, 0);
    TRY("keyctl", SYS_keyctl, 0L, -4L, 0L);
    TRY("io_uring_setup", SYS_io_uring_setup, 0, NULL);
    TRY("open_by_handle_at", SYS_open_by_handle_at, -1, NULL, 0);
    TRY("TIOCSTI", SYS_ioctl, -1, 0x5412L, "x");
    TRY("TIOCSTI+2^32", SYS_ioctl, -1, 0x100005412L, "x");
    TRY("TIOCLINUX", SYS_ioctl, -1, 0x541cL, "x");
    TRY("TIOCGWINSZ", SYS_ioctl, -1, 0x5413L, NULL);
    TRY("AF_ALG", SYS_socket, 38, SOCK_SEQPACKET, 0);
    TRY("AF_VSOCK", SYS_socket, 40, SOCK_STREAM, 0);
    TRY("AF_UNIX", SYS_socket, AF_UNIX, SOCK_STREAM, 0);
    TRY("persona?", SYS_personality, 0xffffffffL);
    TRY("ADDR_NO_RANDOMIZE", SYS_personality, 0x40000L);
    TRY("unshare(FS)", SYS_unshare, CLONE_FS);
    TRY("clone(FS|NEWUSER)", SYS_clone, (long)(CLONE_FS | CLONE_NEWUSER), 0L, 0L, 0L, 0L); /* invalid */
    TRY("number 4000", 4000L);
    TRY("number -1", -1L);
#ifdef __x86_64__
    TRY("x32", 0x40000000L | SYS_getpid);
#endif
    try_foreign_call();
    TRY("unshare(NEWUSER)", SYS_unshare, CLONE_NEWUSER);
    return 0;
}
