// SPDX-License-Identifier: MIT
// Linux system calls without a C library: every function returns a value >= 0 or -errno.
#ifndef CW_SYS_H
#define CW_SYS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <asm/poll.h>
#include <asm/statfs.h>
#include <asm/termios.h>
#include <asm/unistd.h>
#include <linux/capability.h>
#include <linux/errno.h>
#include <linux/eventpoll.h>
#include <linux/fcntl.h>
#include <linux/filter.h>
#include <linux/keyctl.h>
#include <linux/magic.h>
#include <linux/mount.h>
#include <linux/openat2.h>
#include <linux/prctl.h>
#include <linux/resource.h>
#include <linux/sched.h>
#include <linux/seccomp.h>
#include <linux/signalfd.h>
#include <linux/stat.h>
#include <linux/time_types.h>
#include <linux/uio.h>
#include <linux/wait.h>

// What kernel headers leave to the C library, or learned only lately.
#define CW_AF_UNIX 1
#define CW_AF_INET 2
#define CW_AF_INET6 10
#define CW_SOCK_STREAM 1
#define CW_SOCK_DGRAM 2
#define CW_SOCK_SEQPACKET 5
#define CW_SOCK_CLOEXEC 02000000
#define CW_SOCK_NONBLOCK 04000
#define CW_SOL_SOCKET 1
#define CW_SO_REUSEADDR 2
#define CW_SO_TYPE 3
#define CW_SO_ERROR 4
#define CW_SO_DOMAIN 39
#define CW_SO_PEERCRED 17
#define CW_SCM_RIGHTS 1
#define CW_MSG_DONTWAIT 0x40
#define CW_MSG_PEEK 0x2
#define CW_MSG_NOSIGNAL 0x4000
#define CW_MSG_CMSG_CLOEXEC 0x40000000
#define CW_PROT_READ_WRITE 3
#define CW_MAP_PRIVATE_ANONYMOUS 0x22
#define CW_MAP_SHARED_ANONYMOUS 0x21
#define CW_SIGILL 4
#define CW_SIGKILL 9
#define CW_SIGCHLD 17
#define CW_SIGSYS 31
#define CW_SIGNAL_MAX 64
#define CW_SIG_SETMASK 2
#define CW_CLOCK_REALTIME 0
#define CW_CLOCK_MONOTONIC 1
#define CW_MNT_DETACH 2
#define CW_RLIMIT_NPROC 6
#define CW_PIPEFS_MAGIC 0x50495045
#ifndef CLOSE_RANGE_CLOEXEC
#define CLOSE_RANGE_CLOEXEC (1U << 2)
#endif
#ifndef AT_RECURSIVE
#define AT_RECURSIVE 0x8000
#endif
#ifndef TIOCGPTPEER
#define TIOCGPTPEER 0x5441
#endif

struct cw_message_header {
    void *name;
    int name_length;
    struct iovec *parts;
    size_t part_count;
    void *control;
    size_t control_length;
    unsigned flags;
};

// Who made a unix socket, or connected to it: struct ucred of the C library.
struct cw_peer {
    int pid;
    unsigned uid;
    unsigned gid;
};

struct cw_control_header {
    size_t length;
    int level;
    int type;
};

#if defined(__x86_64__)
static inline long cw_call(long n, long a, long b, long c, long d, long e, long f) {
    register long r10 __asm__("r10") = d;
    register long r8 __asm__("r8") = e;
    register long r9 __asm__("r9") = f;
    long result;
    __asm__ volatile("syscall"
                     : "=a"(result)
                     : "a"(n), "D"(a), "S"(b), "d"(c), "r"(r10), "r"(r8), "r"(r9)
                     : "rcx", "r11", "memory");
    return result;
}
#elif defined(__aarch64__)
static inline long cw_call(long n, long a, long b, long c, long d, long e, long f) {
    register long x8 __asm__("x8") = n;
    register long x0 __asm__("x0") = a;
    register long x1 __asm__("x1") = b;
    register long x2 __asm__("x2") = c;
    register long x3 __asm__("x3") = d;
    register long x4 __asm__("x4") = e;
    register long x5 __asm__("x5") = f;
    __asm__ volatile("svc 0"
                     : "+r"(x0)
                     : "r"(x8), "r"(x1), "r"(x2), "r"(x3), "r"(x4), "r"(x5)
                     : "memory");
    return x0;
}
#else
#error "cromwell-init knows x86_64 and aarch64"
#endif

#define CW_CALL6(n, a, b, c, d, e, f)                                                             \
    cw_call(__NR_##n, (long)(a), (long)(b), (long)(c), (long)(d), (long)(e), (long)(f))
#define CW_CALL5(n, a, b, c, d, e) CW_CALL6(n, a, b, c, d, e, 0)
#define CW_CALL4(n, a, b, c, d) CW_CALL6(n, a, b, c, d, 0, 0)
#define CW_CALL3(n, a, b, c) CW_CALL6(n, a, b, c, 0, 0, 0)
#define CW_CALL2(n, a, b) CW_CALL6(n, a, b, 0, 0, 0, 0)
#define CW_CALL1(n, a) CW_CALL6(n, a, 0, 0, 0, 0, 0)
#define CW_CALL0(n) CW_CALL6(n, 0, 0, 0, 0, 0, 0)

// Files
static inline long sys_read(int fd, void *buffer, size_t size) {
    return CW_CALL3(read, fd, buffer, size);
}
static inline long sys_write(int fd, const void *buffer, size_t size) {
    return CW_CALL3(write, fd, buffer, size);
}
static inline long sys_writev(int fd, const struct iovec *parts, int count) {
    return CW_CALL3(writev, fd, parts, count);
}
static inline long sys_close(int fd) { return CW_CALL1(close, fd); }
static inline long sys_close_range(unsigned first, unsigned last, unsigned flags) {
    return CW_CALL3(close_range, first, last, flags);
}
static inline long sys_dup3(int from, int to, int flags) { return CW_CALL3(dup3, from, to, flags); }
static inline long sys_fcntl(int fd, int command, long argument) {
    return CW_CALL3(fcntl, fd, command, argument);
}
static inline long sys_pipe2(int fds[2], int flags) { return CW_CALL2(pipe2, fds, flags); }
static inline long sys_openat(int directory, const char *path, int flags, unsigned mode) {
    return CW_CALL4(openat, directory, path, flags, mode);
}
static inline long sys_openat2(int directory, const char *path, uint64_t flags, uint64_t resolve) {
    struct open_how how = {.flags = flags, .resolve = resolve};
    return CW_CALL4(openat2, directory, path, &how, sizeof how);
}
static inline long sys_statx(int directory, const char *path, int flags, struct statx *out) {
    return CW_CALL5(statx, directory, path, flags, STATX_BASIC_STATS, out);
}
static inline long sys_fstatfs(int fd, struct statfs *out) { return CW_CALL2(fstatfs, fd, out); }
static inline long sys_faccessat(int directory, const char *path, int mode) {
    return CW_CALL3(faccessat, directory, path, mode);
}
static inline long sys_readlinkat(int directory, const char *path, char *out, size_t size) {
    return CW_CALL4(readlinkat, directory, path, out, size);
}
static inline long sys_fchown(int fd, unsigned uid, unsigned gid) {
    return CW_CALL3(fchown, fd, uid, gid);
}
static inline long sys_fchmod(int fd, unsigned mode) { return CW_CALL2(fchmod, fd, mode); }
static inline long sys_fchmodat(int directory, const char *path, unsigned mode) {
    return CW_CALL3(fchmodat, directory, path, mode);
}
static inline long sys_mkdirat(int directory, const char *path, unsigned mode) {
    return CW_CALL3(mkdirat, directory, path, mode);
}
static inline long sys_mknodat(int directory, const char *path, unsigned mode) {
    return CW_CALL4(mknodat, directory, path, mode, 0);
}
static inline long sys_symlinkat(const char *text, int directory, const char *path) {
    return CW_CALL3(symlinkat, text, directory, path);
}
static inline long sys_unlinkat(int directory, const char *path, int flags) {
    return CW_CALL3(unlinkat, directory, path, flags);
}
static inline long sys_renameat(int from_fd, const char *from, int to_fd, const char *to) {
    return CW_CALL5(renameat2, from_fd, from, to_fd, to, 0);
}
static inline long sys_getdents64(int fd, void *buffer, size_t size) {
    return CW_CALL3(getdents64, fd, buffer, size);
}
static inline long sys_pread(int fd, void *buffer, size_t size, uint64_t at) {
    return CW_CALL4(pread64, fd, buffer, size, at);
}
static inline long sys_pwrite(int fd, const void *buffer, size_t size, uint64_t at) {
    return CW_CALL4(pwrite64, fd, buffer, size, at);
}
static inline long sys_fsync(int fd) { return CW_CALL1(fsync, fd); }
static inline long sys_chdir(const char *path) { return CW_CALL1(chdir, path); }
static inline long sys_fchdir(int fd) { return CW_CALL1(fchdir, fd); }
static inline long sys_getcwd(char *buffer, size_t size) { return CW_CALL2(getcwd, buffer, size); }
static inline long sys_umask(unsigned mask) { return CW_CALL1(umask, mask); }
static inline long sys_ioctl(int fd, unsigned long request, const void *argument) {
    return CW_CALL3(ioctl, fd, request, argument);
}
static inline long sys_poll(struct pollfd *fds, unsigned count, int timeout_ms) {
    struct __kernel_timespec time = {.tv_sec = timeout_ms / 1000,
                                     .tv_nsec = (long long)(timeout_ms % 1000) * 1000000};
    return CW_CALL5(ppoll, fds, count, timeout_ms < 0 ? NULL : &time, NULL, 8);
}

static inline long sys_epoll_create(void) { return CW_CALL1(epoll_create1, O_CLOEXEC); }
static inline long sys_epoll_ctl(int epoll, int operation, int fd, struct epoll_event *event) {
    return CW_CALL4(epoll_ctl, epoll, operation, fd, event);
}
static inline long sys_epoll_poll(int epoll, struct epoll_event *events, int count) {
    return CW_CALL6(epoll_pwait, epoll, events, count, 0, NULL, 8);
}


// What getdents64 fills its buffer with.
struct cw_entry {
    uint64_t inode;
    int64_t offset;
    uint16_t size;
    uint8_t type;
    char name[];
};
#define CW_DT_DIR 4

// Memory
static inline long sys_map(size_t size) {
    return CW_CALL6(mmap, 0, size, CW_PROT_READ_WRITE, CW_MAP_PRIVATE_ANONYMOUS, -1, 0);
}
static inline long sys_map_shared(size_t size) {
    return CW_CALL6(mmap, 0, size, CW_PROT_READ_WRITE, CW_MAP_SHARED_ANONYMOUS, -1, 0);
}

// Mounts
static inline long sys_mount(const char *source, const char *target, const char *type,
                             unsigned long flags, const char *options) {
    return CW_CALL5(mount, source, target, type, flags, options);
}
static inline long sys_umount2(const char *target, int flags) {
    return CW_CALL2(umount2, target, flags);
}
static inline long sys_pivot_root(const char *new_root, const char *put_old) {
    return CW_CALL2(pivot_root, new_root, put_old);
}
static inline long sys_open_tree(int directory, const char *path, unsigned flags) {
    return CW_CALL3(open_tree, directory, path, flags);
}
static inline long sys_move_mount(int from_fd, int to_fd, const char *to, unsigned flags) {
    return CW_CALL5(move_mount, from_fd, "", to_fd, to, flags | MOVE_MOUNT_F_EMPTY_PATH);
}
static inline long sys_mount_setattr(int fd, unsigned flags, uint64_t set) {
    struct mount_attr attributes = {.attr_set = set};
    return CW_CALL5(mount_setattr, fd, "", flags | AT_EMPTY_PATH, &attributes, sizeof attributes);
}
static inline long sys_fsopen(const char *type) { return CW_CALL2(fsopen, type, FSOPEN_CLOEXEC); }
static inline long sys_fsconfig(int fd, unsigned command, const char *key, const char *value) {
    return CW_CALL5(fsconfig, fd, command, key, value, 0);
}
static inline long sys_fsmount(int fd, unsigned attributes) {
    return CW_CALL3(fsmount, fd, FSMOUNT_CLOEXEC, attributes);
}

// Processes
static inline long sys_clone(unsigned long flags, int *pidfd) {
#if defined(__x86_64__)
    return CW_CALL5(clone, flags, 0, pidfd, 0, 0); // flags, stack, parent_tid, child_tid, tls
#else
    return CW_CALL5(clone, flags, 0, pidfd, 0, 0); // flags, stack, parent_tid, tls, child_tid
#endif
}
// A child that begins, and ends, with function(argument): in our own memory, on a stack of its own,
// whose upper end is given. Everything but the memory is a copy, as after clone(2).
static inline long sys_clone_sharing(unsigned long flags, void *stack,
                                     void (*function)(void *), void *argument) {
#if defined(__x86_64__)
    long result;
    register long r10 __asm__("r10") = 0;
    __asm__ volatile("syscall\n"
                     "test %%rax, %%rax\n"
                     "jnz 1f\n"
                     "xor %%ebp, %%ebp\n"
                     "mov %[argument], %%rdi\n"
                     "call *%[function]\n"
                     "ud2\n"
                     "1:\n"
                     : "=a"(result)
                     : "a"(__NR_clone), "D"(flags | CLONE_VM), "S"(stack), "d"(0), "r"(r10),
                       [function] "r"(function), [argument] "r"(argument)
                     : "rcx", "r11", "memory");
    return result;
#else
    register long x8 __asm__("x8") = __NR_clone;
    register long x0 __asm__("x0") = (long)(flags | CLONE_VM);
    register void *x1 __asm__("x1") = stack;
    register long x2 __asm__("x2") = 0;
    register long x3 __asm__("x3") = 0;
    register long x4 __asm__("x4") = 0;
    register void *x9 __asm__("x9") = (void *)function;
    register void *x10 __asm__("x10") = argument;
    __asm__ volatile("svc 0\n"
                     "cbnz x0, 1f\n"
                     "mov x29, #0\n"
                     "mov x0, x10\n"
                     "blr x9\n"
                     "brk #0\n"
                     "1:\n"
                     : "+r"(x0)
                     : "r"(x8), "r"(x1), "r"(x2), "r"(x3), "r"(x4), "r"(x9), "r"(x10)
                     : "memory");
    return x0;
#endif
}
static inline long sys_clone3(struct clone_args *arguments) {
    return CW_CALL2(clone3, arguments, sizeof *arguments);
}
static inline long sys_execve(const char *path, const char *const *argv, const char *const *envp) {
    return CW_CALL3(execve, path, argv, envp);
}
static inline _Noreturn void sys_exit(int status) {
    CW_CALL1(exit_group, status);
    __builtin_trap(); // a seccomp filter that forbids even that
}
static inline long sys_wait4(int pid, int *status, int options, struct rusage *usage) {
    return CW_CALL4(wait4, pid, status, options, usage);
}
static inline long sys_getrusage(int who, struct rusage *usage) {
    return CW_CALL2(getrusage, who, usage);
}
static inline long sys_kill(int pid, int signal) { return CW_CALL2(kill, pid, signal); }
static inline long sys_getpid(void) { return CW_CALL0(getpid); }
static inline long sys_setsid(void) { return CW_CALL0(setsid); }
static inline long sys_prctl(int option, unsigned long a, unsigned long b) {
    return CW_CALL5(prctl, option, a, b, 0, 0);
}
static inline long sys_pidfd_open(int pid) { return CW_CALL2(pidfd_open, pid, 0); }
static inline long sys_pidfd_send_signal(int pidfd, int signal) {
    return CW_CALL4(pidfd_send_signal, pidfd, signal, 0, 0);
}
static inline long sys_unshare(unsigned long flags) { return CW_CALL1(unshare, flags); }
static inline long sys_personality(unsigned long persona) { return CW_CALL1(personality, persona); }
static inline long sys_prlimit(int pid, unsigned resource, const struct rlimit64 *new_limit,
                               struct rlimit64 *old_limit) {
    return CW_CALL4(prlimit64, pid, resource, new_limit, old_limit);
}
static inline long sys_getpriority(int pid) { return CW_CALL2(getpriority, 0, pid); }
static inline long sys_setpriority(int pid, long nice) { return CW_CALL3(setpriority, 0, pid, nice); }
static inline long sys_ioprio_get(int which, int who) { return CW_CALL2(ioprio_get, which, who); }
static inline long sys_ioprio_set(int which, int who, long value) {
    return CW_CALL3(ioprio_set, which, who, value);
}
static inline long sys_sched_getscheduler(int pid) { return CW_CALL1(sched_getscheduler, pid); }
static inline long sys_sched_setscheduler(int pid, int policy, const int *priority) {
    return CW_CALL3(sched_setscheduler, pid, policy, priority);
}
static inline long sys_sched_setaffinity(int pid, size_t size, const uint64_t *cpus) {
    return CW_CALL3(sched_setaffinity, pid, size, cpus);
}
static inline long sys_setns(int fd, int type) { return CW_CALL2(setns, fd, type); }
static inline long sys_sethostname(const char *name, size_t size) {
    return CW_CALL2(sethostname, name, size);
}
static inline long sys_setdomainname(const char *name, size_t size) {
    return CW_CALL2(setdomainname, name, size);
}

// Credentials
static inline long sys_geteuid(void) { return CW_CALL0(geteuid); }
static inline long sys_getgroups(int count, uint32_t *groups) {
    return CW_CALL2(getgroups, count, groups);
}
static inline long sys_setresuid(unsigned uid) { return CW_CALL3(setresuid, uid, uid, uid); }
static inline long sys_setresgid(unsigned gid) { return CW_CALL3(setresgid, gid, gid, gid); }
static inline long sys_setgroups(size_t count, const uint32_t *groups) {
    return CW_CALL2(setgroups, count, groups);
}
static inline long sys_capget(struct __user_cap_header_struct *header,
                              struct __user_cap_data_struct *data) {
    return CW_CALL2(capget, header, data);
}
static inline long sys_capset(const struct __user_cap_header_struct *header,
                              const struct __user_cap_data_struct *data) {
    return CW_CALL2(capset, header, data);
}
static inline long sys_seccomp(unsigned operation, unsigned flags, const void *argument) {
    return CW_CALL3(seccomp, operation, flags, argument);
}
static inline long sys_keyctl(int operation, unsigned long a) {
    return CW_CALL5(keyctl, operation, a, 0, 0, 0);
}
static inline long sys_landlock_create_ruleset(const void *attributes, size_t size,
                                               unsigned flags) {
    return CW_CALL3(landlock_create_ruleset, attributes, size, flags);
}
static inline long sys_landlock_add_rule(int ruleset, unsigned type, const void *rule) {
    return CW_CALL4(landlock_add_rule, ruleset, type, rule, 0);
}
static inline long sys_landlock_restrict_self(int ruleset) {
    return CW_CALL2(landlock_restrict_self, ruleset, 0);
}

// Signals and time
static inline long sys_sigmask(int how, uint64_t mask) {
    return CW_CALL4(rt_sigprocmask, how, &mask, 0, 8);
}
static inline long sys_sigdefault(int signal) {
    unsigned long action[4] = {0}; // handler, flags, restorer, mask: SIG_DFL is all zero
    return CW_CALL4(rt_sigaction, signal, action, 0, 8);
}
static inline long sys_signalfd(uint64_t mask) {
    return CW_CALL4(signalfd4, -1, &mask, 8, O_CLOEXEC | O_NONBLOCK);
}
static inline long sys_nap(const struct __kernel_timespec *time) {
    return CW_CALL2(nanosleep, time, 0);
}
static inline long sys_timerfd(void) {
    return CW_CALL2(timerfd_create, CW_CLOCK_MONOTONIC, O_CLOEXEC | O_NONBLOCK);
}
// At this time of CLOCK_MONOTONIC, in ns; 0 for never.
static inline long sys_timerfd_settime(int fd, uint64_t time) {
    struct __kernel_itimerspec at = {.it_value = {.tv_sec = (long long)(time / 1000000000),
                                                  .tv_nsec = (long long)(time % 1000000000)}};
    return CW_CALL4(timerfd_settime, fd, 1 /* TFD_TIMER_ABSTIME */, &at, 0);
}
static inline long sys_clock(int clock, struct __kernel_timespec *out) {
    return CW_CALL2(clock_gettime, clock, out);
}

// Sockets
static inline long sys_socket(int family, int type) { return CW_CALL3(socket, family, type, 0); }
static inline long sys_socketpair(int type, int fds[2]) {
    return CW_CALL4(socketpair, CW_AF_UNIX, type, 0, fds);
}
static inline long sys_getsockopt(int fd, int option, int *value) {
    int size = sizeof *value;
    return CW_CALL5(getsockopt, fd, CW_SOL_SOCKET, option, value, &size);
}
static inline long sys_setsockopt(int fd, int option, int value) {
    return CW_CALL5(setsockopt, fd, CW_SOL_SOCKET, option, &value, sizeof value);
}
static inline long sys_bind(int fd, const void *address, int size) {
    return CW_CALL3(bind, fd, address, size);
}
static inline long sys_listen(int fd, int backlog) { return CW_CALL2(listen, fd, backlog); }
static inline long sys_connect(int fd, const void *address, int size) {
    return CW_CALL3(connect, fd, address, size);
}
static inline long sys_accept(int fd) {
    return CW_CALL4(accept4, fd, 0, 0, CW_SOCK_CLOEXEC | CW_SOCK_NONBLOCK);
}
static inline long sys_getsockname(int fd, void *address, int *size) {
    return CW_CALL3(getsockname, fd, address, size);
}
static inline long sys_peer(int fd, struct cw_peer *peer) {
    int size = sizeof *peer;
    return CW_CALL5(getsockopt, fd, CW_SOL_SOCKET, CW_SO_PEERCRED, peer, &size);
}
static inline long sys_send(int fd, const void *data, size_t size, int flags) {
    return CW_CALL6(sendto, fd, data, size, flags | CW_MSG_NOSIGNAL, 0, 0);
}
static inline long sys_recv(int fd, void *data, size_t size, int flags) {
    return CW_CALL6(recvfrom, fd, data, size, flags, 0, 0);
}
static inline long sys_sendmsg_flags(int fd, const struct cw_message_header *message, int flags) {
    return CW_CALL3(sendmsg, fd, message, flags | CW_MSG_NOSIGNAL);
}
static inline long sys_sendmsg(int fd, const struct cw_message_header *message) {
    return sys_sendmsg_flags(fd, message, 0);
}
static inline long sys_recvmsg(int fd, struct cw_message_header *message, int flags) {
    return CW_CALL3(recvmsg, fd, message, flags | CW_MSG_CMSG_CLOEXEC);
}

// A descriptor that closes when it goes out of scope.
static inline void cw_close_auto(int *fd) {
    if (*fd >= 0) sys_close(*fd);
}
#define CW_AUTO_FD __attribute__((cleanup(cw_close_auto))) int

static inline void cw_close(int *fd) {
    if (*fd >= 0) sys_close(*fd);
    *fd = -1;
}

#endif
