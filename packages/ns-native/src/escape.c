// SPDX-License-Identifier: MIT
// Ways out of a container that others have found, tried from inside. escape HOST_PID SOCKET prints a
// line for each: "name ERRNO", 0 where it worked. What else it knows: escape uid (real and effective
// ids), escape zombies N (N orphans that have ended), escape stubborn (ignores SIGTERM).
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <linux/memfd.h>
#include <sched.h>
#include <signal.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

static void tell(const char *name, long result) {
    printf("%s %d\n", name, result < 0 ? errno : 0);
    fflush(stdout);
}
#define TRY(name, ...) tell(name, syscall(__VA_ARGS__))

static void try_open(const char *path, int flags) {
    char name[300];
    int fd = open(path, flags | O_CLOEXEC);
    snprintf(name, sizeof name, "%s %s", flags & O_ACCMODE ? "write" : "open", path);
    tell(name, fd);
    if (fd >= 0) close(fd);
}

// rule 1: PID 1 is ours, and closed
static void look_into_init(void) {
    char text[64];
    tell("readlink /proc/1/exe", readlink("/proc/1/exe", text, sizeof text));
    tell("readlink /proc/1/cwd", readlink("/proc/1/cwd", text, sizeof text));
    tell("readlink /proc/1/fd/0", readlink("/proc/1/fd/0", text, sizeof text));
    try_open("/proc/1/fd/0", O_RDONLY);
    try_open("/proc/1/exe", O_RDONLY);
    try_open("/proc/1/exe", O_WRONLY);
    try_open("/proc/1/environ", O_RDONLY);
    try_open("/proc/1/maps", O_RDONLY);
    try_open("/proc/1/mem", O_RDWR);
    try_open("/proc/1/root/etc", O_RDONLY);
    try_open("/proc/1/cwd/etc", O_RDONLY);
    tell("ptrace PID 1", ptrace(PTRACE_SEIZE, 1, 0, 0));
    TRY("process_vm_readv of PID 1", SYS_process_vm_readv, 1, NULL, 0, NULL, 0, 1L);
}

// what the kernel runs or does for who can write these, on the host
static void write_kernel_files(void) {
    try_open("/proc/sys/kernel/core_pattern", O_WRONLY);
    try_open("/proc/sys/kernel/modprobe", O_WRONLY);
    try_open("/proc/sysrq-trigger", O_WRONLY);
    try_open("/sys/kernel/uevent_helper", O_WRONLY);
    try_open("/sys/fs/cgroup/release_agent", O_WRONLY);
    try_open("/proc/self/exe", O_WRONLY);
    tell("mount over /proc/sys", mount("none", "/proc/sys", "tmpfs", 0, NULL));
    tell("mount a cgroup with a release_agent", mount("none", "/tmp", "cgroup", 0, "memory"));
    tell("remount /proc/sys", mount("none", "/proc/sys", NULL, MS_REMOUNT | MS_BIND, NULL));
    tell("umount /proc/sys", umount2("/proc/sys", MNT_DETACH));
}

static void make_devices(void) {
    tell("mknod of a disk", mknod("/tmp/disk", S_IFBLK | 0600, makedev(8, 0)));
    tell("mknod of kernel memory", mknod("/tmp/mem", S_IFCHR | 0600, makedev(1, 1)));
    struct {
        unsigned size, type, inode, generation;
    } handle = {8, 1, 2, 0}; // inode 2: the root of many file systems
    TRY("open_by_handle_at", SYS_open_by_handle_at, AT_FDCWD, &handle, O_RDONLY);
}

static void make_namespaces(void) {
    struct {
        unsigned long long flags, rest[7];
    } arguments = {.flags = CLONE_NEWUSER};
    tell("unshare of a user namespace", unshare(CLONE_NEWUSER));
    TRY("clone into a user namespace", SYS_clone, CLONE_NEWUSER | SIGCHLD, 0L, 0L, 0L, 0L);
    TRY("clone3 into a user namespace", SYS_clone3, &arguments, sizeof arguments);
    tell("setns to PID 1", setns(open("/proc/1/ns/mnt", O_RDONLY), 0));
}

static void reach_outside(pid_t outside, const char *socket_name) {
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    tell("kill outside", kill(outside, 0));
    tell("setpriority outside", setpriority(PRIO_PROCESS, (id_t)outside, 19));
    TRY("pidfd_open outside", SYS_pidfd_open, outside, 0);
    setpriority(PRIO_USER, 0, 10); // all of ours: the caller looks whether it is one of them
    int fd = socket(AF_UNIX, SOCK_STREAM, 0);
    strncpy(address.sun_path + 1, socket_name, sizeof address.sun_path - 2);
    socklen_t size = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + 1 + strlen(socket_name));
    tell("abstract socket of the host", connect(fd, (struct sockaddr *)&address, size));
    TRY("keys of the session", SYS_keyctl, 11L /* READ */, -3L /* SESSION_KEYRING */, NULL, 0L);
}

static void avoid_the_filter(void) {
    TRY("TIOCSTI with high bits", SYS_ioctl, 0, 0xabcd00005412L, "x");
    TRY("io_uring", SYS_io_uring_setup, 1, NULL);
#ifdef __x86_64__
    int status;
    TRY("x32", 0x40000000L | SYS_getpid);
    if (fork() == 0) {
        long number = 20; // getpid of i386
        __asm__ volatile("int $0x80" : "+a"(number)::"memory");
        _exit(0);
    }
    wait(&status);
    printf("i386 signal %d\n", WIFSIGNALED(status) ? WTERMSIG(status) : 0);
#endif
}

static int is_root_of(const struct stat *root) {
    struct stat here;
    for (int i = 0; i < 64; i++)
        if (chdir("..") < 0) return 0;
    return stat(".", &here) == 0 && here.st_ino == root->st_ino && here.st_dev == root->st_dev;
}

static int send_fd(int socket, int fd) {
    char byte = 0;
    union {
        char bytes[CMSG_SPACE(sizeof(int))];
        struct cmsghdr align;
    } control = {{0}};
    struct iovec part = {&byte, 1};
    struct msghdr message = {.msg_iov = &part, .msg_iovlen = 1, .msg_control = control.bytes,
                             .msg_controllen = sizeof control.bytes};
    struct cmsghdr *head = CMSG_FIRSTHDR(&message);
    head->cmsg_level = SOL_SOCKET;
    head->cmsg_type = SCM_RIGHTS;
    head->cmsg_len = CMSG_LEN(sizeof(int));
    memcpy(CMSG_DATA(head), &fd, sizeof fd);
    return (int)sendmsg(socket, &message, 0);
}

static int receive_fd(int socket) {
    char byte;
    int fd = -1;
    union {
        char bytes[CMSG_SPACE(sizeof(int))];
        struct cmsghdr align;
    } control;
    struct iovec part = {&byte, 1};
    struct msghdr message = {.msg_iov = &part, .msg_iovlen = 1, .msg_control = control.bytes,
                             .msg_controllen = sizeof control.bytes};
    if (recvmsg(socket, &message, 0) != 1 || CMSG_FIRSTHDR(&message) == NULL) return -1;
    memcpy(&fd, CMSG_DATA(CMSG_FIRSTHDR(&message)), sizeof fd);
    return fd;
}

// A directory from before a chroot, passed through a socket, leads out of the chroot: to our root.
static void climb(void) {
    int pair[2];
    struct stat root;
    stat("/", &root);
    printf("climbing ends at our root %d\n", chdir("/") == 0 && is_root_of(&root));
    fflush(stdout);
    if (socketpair(AF_UNIX, SOCK_STREAM, 0, pair) < 0) return;
    send_fd(pair[0], open("/", O_PATH | O_DIRECTORY));
    mkdir("/tmp/inner", 0700);
    if (fork() == 0) {
        int refused = chroot("/tmp/inner") < 0 && errno == EPERM;
        int out = fchdir(receive_fd(pair[1])) == 0 && is_root_of(&root);
        printf("a passed directory after chroot ends at our root %d\n", refused || out);
        fflush(stdout);
        _exit(0);
    }
    wait(NULL);
}

// A program from memory is as confined as one from a file.
static void run_from_memory(void) {
    char buffer[65536];
    long size;
    int self = open("/proc/self/exe", O_RDONLY);
    int memory = (int)syscall(SYS_memfd_create, "program", MFD_CLOEXEC);
    while ((size = read(self, buffer, sizeof buffer)) > 0)
        if (write(memory, buffer, (size_t)size) != size) return;
    if (fork() == 0) {
        char *const arguments[] = {(char *)"escape", (char *)"confined", NULL};
        syscall(SYS_execveat, memory, "", arguments, environ, AT_EMPTY_PATH);
        tell("program from memory", -1);
        _exit(1);
    }
    wait(NULL);
}

static int orphans(int count) {
    for (int i = 0; i < count; i++) {
        pid_t child = fork();
        if (child == 0) _exit(fork() < 0);
        if (child < 0 || waitpid(child, NULL, 0) < 0) return 1;
    }
    return 0;
}

int main(int argc, char **argv) {
    const char *what = argc > 1 ? argv[1] : "";
    if (strcmp(what, "confined") == 0) {
        printf("program from memory: filter %d, no_new_privs %d\n", prctl(PR_GET_SECCOMP),
               prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0));
        return 0;
    }
    if (strcmp(what, "uid") == 0) return printf("%u %u\n", getuid(), geteuid()) < 0;
    if (strcmp(what, "zombies") == 0 && argc == 3) return orphans(atoi(argv[2]));
    if (strcmp(what, "stubborn") == 0) {
        signal(SIGTERM, SIG_IGN);
        if (fork() == 0) setsid();
        tell("ready", 0);
        for (;;) pause();
    }
    if (argc != 3) return 2;
    look_into_init();
    write_kernel_files();
    make_devices();
    make_namespaces();
    reach_outside(atoi(argv[1]), argv[2]);
    avoid_the_filter();
    climb();
    run_from_memory();
    return 0;
}
