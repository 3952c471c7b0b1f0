// SPDX-License-Identifier: MIT
#include "confine.h"

#include "descriptors.h"
#include "landlock.h"
#include "sys.h"

#if defined(__x86_64__)
#define CW_AUDIT_ARCH 0xc000003eu
#else
#define CW_AUDIT_ARCH 0xc00000b7u
#endif
#define CW_CAP_DAC_OVERRIDE 1
#define CW_CAP_FOWNER 3
#define CW_CAP_KILL 5

// Every system call that the monitor, or a child that it forks, may still make, by what for. Not
// among them: execve, ptrace, mounts, sockets, changes of ids, clone3, and what a later kernel brings.
static const uint16_t allowed_calls[] = {
    // the loop, its descriptors and timers; the relay, the log, the terminal
    __NR_read, __NR_write, __NR_writev, __NR_close, __NR_close_range, __NR_dup3, __NR_fcntl,
    __NR_ioctl, __NR_ppoll, __NR_restart_syscall, __NR_clock_gettime, __NR_timerfd_create,
    __NR_timerfd_settime, __NR_mmap, __NR_munmap, __NR_fstatfs, __NR_statx,
    // Node, init, and who attaches; the broker's pending connections
    __NR_sendto, __NR_recvfrom, __NR_sendmsg, __NR_recvmsg, __NR_getsockopt, __NR_accept4,
    __NR_epoll_create1, __NR_epoll_ctl, __NR_epoll_pwait, __NR_getpid, __NR_geteuid,
    // the container's processes: signals, their end, what they use
    __NR_pidfd_send_signal, __NR_kill, __NR_wait4, __NR_openat, __NR_openat2, __NR_readlinkat,
    __NR_pread64, __NR_getdents64,
    // emulation of root: the memory and the limits of callers
    __NR_pwrite64, __NR_prlimit64,
    // exit file, socket, control groups, directories to remove, in a child in the user namespace
    __NR_renameat2, __NR_fsync, __NR_unlinkat, __NR_fchmodat, __NR_faccessat, __NR_clone,
    __NR_setns, __NR_exit_group,
};

#define CW_CALL_COUNT (sizeof allowed_calls / sizeof *allowed_calls)

#define CW_LEAF_CALLS 4

struct filter {
    struct sock_filter program[3 * CW_CALL_COUNT + 8];
    unsigned used;
};

static void add(struct filter *filter, struct sock_filter instruction) {
    filter->program[filter->used++] = instruction;
}

// One of these calls, which are in order of their numbers, or EPERM. Found by halving: when a filter is
// installed, the kernel walks it for every number that there is.
static void add_calls(struct filter *filter, const uint16_t *calls, unsigned count) {
    if (count > CW_LEAF_CALLS) {
        unsigned left = count / 2;
        struct sock_filter *branch = &filter->program[filter->used];
        add(filter, (struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JGE | BPF_K, calls[left], 0, 0));
        add_calls(filter, calls, left);
        branch->jt = (uint8_t)(&filter->program[filter->used] - branch - 1);
        add_calls(filter, calls + left, count - left);
        return;
    }
    for (unsigned i = 0; i < count; i++)
        add(filter, (struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, calls[i],
                                                 (uint8_t)(count - i), 0));
    add(filter, (struct sock_filter)BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | EPERM));
    add(filter, (struct sock_filter)BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW));
}

static int filter_calls(void) {
    uint16_t calls[CW_CALL_COUNT];
    struct filter filter = {.used = 0};
    for (unsigned i = 0; i < CW_CALL_COUNT; i++) {
        unsigned at = i;
        for (; at > 0 && calls[at - 1] > allowed_calls[i]; at--) calls[at] = calls[at - 1];
        calls[at] = allowed_calls[i];
    }
    add(&filter, (struct sock_filter)BPF_STMT(BPF_LD | BPF_W | BPF_ABS,
                                              offsetof(struct seccomp_data, arch)));
    add(&filter,
        (struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, CW_AUDIT_ARCH, 1, 0));
    add(&filter, (struct sock_filter)BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_KILL_PROCESS));
    add(&filter, (struct sock_filter)BPF_STMT(BPF_LD | BPF_W | BPF_ABS,
                                              offsetof(struct seccomp_data, nr)));
    add_calls(&filter, calls, CW_CALL_COUNT);
    struct sock_fprog program = {.len = (unsigned short)filter.used, .filter = filter.program};
    return (int)sys_seccomp(SECCOMP_SET_MODE_FILTER, 0, &program);
}

// Below the parent of a path, which need not exist yet, or any more.
static int allow_beside(int ruleset, const char *path, uint64_t rights) {
    if (path == NULL) return 0;
    CW_AUTO_FD parent = cw_open_parent(path);
    if (parent < 0) return parent == -ENOENT ? 0 : parent;
    return cw_landlock_allow(ruleset, parent, rights);
}

static int allow_below(int ruleset, const char *path, uint64_t rights) {
    CW_AUTO_FD directory = (int)sys_openat(AT_FDCWD, path, O_PATH | O_DIRECTORY | O_CLOEXEC, 0);
    return directory < 0 ? 0 : cw_landlock_allow(ruleset, directory, rights);
}

// What is still opened by name, by what for; descriptors that are open stay as they are.
static int allow_paths(const struct cw_config *config, int ruleset, uint64_t known) {
    const uint64_t read = CW_LANDLOCK_READ_FILE | CW_LANDLOCK_READ_DIR;
    const uint64_t remove = CW_LANDLOCK_READ_DIR | CW_LANDLOCK_REMOVE_FILE | CW_LANDLOCK_REMOVE_DIR;
    const uint64_t replace = CW_LANDLOCK_WRITE_FILE | CW_LANDLOCK_TRUNCATE | CW_LANDLOCK_READ_DIR |
                             CW_LANDLOCK_MAKE_REG | CW_LANDLOCK_REMOVE_FILE;
    // a deep tree's directories are moved up
    const uint64_t move = CW_LANDLOCK_REFER | CW_LANDLOCK_MAKE_DIR;
    // what processes use, and who they are
    int error = allow_below(ruleset, "/proc", read & known);
    if (error == 0) error = allow_beside(ruleset, config->exit_path, replace & known);
    if (error == 0) error = allow_beside(ruleset, config->attach_path, CW_LANDLOCK_REMOVE_FILE);
    for (uint32_t i = 0; i < config->removals.count && error == 0; i++)
        error = allow_beside(ruleset, config->removals.items[i], (remove | move) & known);
    // read, frozen, killed and removed, and what others left there
    for (uint32_t i = 0; i < config->cgroup_count && error == 0; i++)
        error = allow_beside(ruleset, config->cgroups[i].path,
                             (read | CW_LANDLOCK_WRITE_FILE | CW_LANDLOCK_REMOVE_DIR) & known);
    return error;
}

// Under Landlock a process may not look into others that are not: whoever has to, at the memory that
// a call names or that processes share, cannot have it.
static bool looks_into_processes(const struct cw_config *config) {
    return config->notify_flags & CW_NOTIFY_EMULATE_ROOT || config->limits.memory_bytes != 0;
}

static int restrict_paths(const struct cw_config *config) {
    uint64_t known;
    if (looks_into_processes(config)) return 0;
    CW_AUTO_FD ruleset = cw_landlock_open(&known);
    // Not in every kernel; nobody asked for it, and the rest holds without it.
    if (ruleset == -ENOSYS || ruleset == -EOPNOTSUPP) return 0;
    if (ruleset < 0) return ruleset;
    int error = allow_paths(config, ruleset, known);
    if (error == 0) error = cw_landlock_close_in(ruleset);
    return error == -E2BIG ? 0 : error; // 16 times already
}

// Root's own modes do not let it write beside this: another's directory, or the top of a control
// group hierarchy, which nobody may write to.
static bool is_closed_to_us(const char *path) {
    struct statx status;
    if (path == NULL) return false;
    CW_AUTO_FD parent = cw_open_parent(path);
    return parent >= 0 && sys_statx(parent, "", AT_EMPTY_PATH, &status) == 0 &&
           (status.stx_uid != (uint32_t)sys_geteuid() || !(status.stx_mode & 0200));
}

// Over the container's user namespace whoever made it has all power, without any capability.
static uint64_t needed_capabilities(const struct cw_config *config) {
    bool own_users = (config->namespaces | config->privilege.joined) & CLONE_NEWUSER;
    uint64_t needed = 0;
    if (!own_users)
        needed |= 1 << CW_CAP_KILL | 1 << CW_CAP_DAC_OVERRIDE | 1 << CW_CAP_FOWNER;
    bool closed = is_closed_to_us(config->exit_path);
    for (uint32_t i = 0; i < config->cgroup_count; i++)
        closed = closed || is_closed_to_us(config->cgroups[i].path);
    if (closed) needed |= 1 << CW_CAP_DAC_OVERRIDE;
    return needed;
}

static int drop_capabilities(uint64_t kept) {
    struct __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3};
    struct __user_cap_data_struct data[2];
    long error = sys_capget(&header, data);
    if (error < 0) return (int)error;
    if ((data[0].permitted | data[1].permitted) == 0) return 0; // a plain user's
    for (int half = 0; half < 2; half++) {
        data[half].permitted &= (uint32_t)(kept >> 32 * half);
        data[half].effective = data[half].permitted;
        data[half].inheritable = 0;
    }
    return (int)sys_capset(&header, data);
}

int cw_confine(struct cw_monitor *m) {
    cw_at(&m->fault, CW_STEP_MONITOR_CONFINE, CW_NO_INDEX);
    CW_TRY(&m->fault, "prctl", sys_prctl(PR_SET_NO_NEW_PRIVS, 1, 0));
    CW_TRY(&m->fault, "landlock", restrict_paths(&m->config));
    CW_TRY(&m->fault, "capset", drop_capabilities(needed_capabilities(&m->config)));
    int error = filter_calls();
    // A kernel without filters: a program that is to have one is refused anyway.
    if (error == -EINVAL || error == -ENOSYS) return 0;
    return error < 0 ? cw_fail(&m->fault, "seccomp", error) : 0;
}
