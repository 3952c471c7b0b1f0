// SPDX-License-Identifier: MIT
#define _GNU_SOURCE
#include "native.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#ifndef MFD_EXEC
#define MFD_EXEC 0x10U
#endif
#define CW_FIXED_FDS 5
#define CW_MFD_CLOEXEC 1U
#define CW_MFD_ALLOW_SEALING 2U
#define CW_F_ADD_SEALS 1033
#define CW_F_GET_SEALS 1034
#define CW_SEALS 0xf /* SEAL SHRINK GROW WRITE */
#define CW_SEAL_EXEC 0x20
// Above what dup2 will overwrite in the child.
#define CW_LOW_FDS (CW_FIXED_FDS + CW_EXTRAS_MAX)

static void close_if(int *fd) {
    if (*fd >= 0) close(*fd);
    *fd = -1;
}
#define CW_AUTO_FD __attribute__((cleanup(close_if))) int

static int raised(int fd) {
    int high = fcntl(fd, F_DUPFD_CLOEXEC, CW_LOW_FDS);
    return high < 0 ? -errno : high;
}

// The child's end of one stdio descriptor, and ours when that is a pipe. `null` is /dev/null, opened
// when first needed.
static int open_stdio(int index, int wanted, int *null, int *ours) {
    int pipe[2];
    if (wanted >= 0) return raised(wanted);
    if (wanted == CW_STDIO_IGNORE) {
        if (*null < 0) *null = open("/dev/null", O_RDWR | O_CLOEXEC);
        return *null < 0 ? -errno : raised(*null);
    }
    if (pipe2(pipe, O_CLOEXEC) < 0) return -errno;
    *ours = index == 0 ? pipe[1] : pipe[0];
    CW_AUTO_FD theirs = index == 0 ? pipe[0] : pipe[1];
    return raised(theirs);
}

// The child's end of a socket pair, and ours.
static int open_pair(int type, int32_t *ours) {
    int pair[2];
    if (socketpair(AF_UNIX, type | SOCK_CLOEXEC, 0, pair) < 0) return -errno;
    *ours = pair[0];
    int theirs = raised(pair[1]);
    close(pair[1]);
    return theirs;
}

int cw_spawn(int file, const char *helper, const int32_t *stdio, int count, const void *message, size_t size,
             int channel, struct cw_spawned *spawned) {
    int fds[CW_LOW_FDS];
    int used = CW_FIXED_FDS + count - 3;
    if (used > CW_LOW_FDS) return -E2BIG;
    memset(fds, 0xff, sizeof fds);
    CW_AUTO_FD null = -1;
    int error = 0;
    memset(spawned, 0xff, sizeof *spawned);
    fds[3] = open_pair(SOCK_STREAM, &spawned->control);
    if (fds[3] < 0) error = fds[3];
    if (channel && error == 0) {
        fds[4] = open_pair(SOCK_SEQPACKET, &spawned->channel);
        if (fds[4] < 0) error = fds[4];
    }
    for (int i = 0; i < 3 && error == 0; i++) {
        fds[i] = open_stdio(i, stdio[i], &null, &spawned->pipes[i]);
        if (fds[i] < 0) error = fds[i];
    }
    for (int i = 3; i < count && error == 0; i++) {
        int fd = fds[CW_FIXED_FDS + i - 3] = raised(stdio[i]);
        if (fd < 0) error = fd;
    }
    if (error == 0) {
        int sent = cw_send(spawned->control, message, size);
        spawned->sent = sent < 0 ? 0 : sent; // the rest goes the usual way
        error = cw_start(file, helper, fds, used, &spawned->pid);
    }
    for (int i = 0; i < used; i++) close_if(&fds[i]);
    if (error == 0) return 0;
    close_if(&spawned->control);
    close_if(&spawned->channel);
    for (int i = 0; i < 3; i++) close_if(&spawned->pipes[i]);
    return error;
}

int cw_send(int socket, const void *bytes, size_t size) {
    ssize_t sent = send(socket, bytes, size, MSG_DONTWAIT | MSG_NOSIGNAL);
    return sent < 0 ? -errno : (int)sent;
}

int cw_receive(int socket, void *bytes, size_t size) {
    ssize_t received = recv(socket, bytes, size, MSG_DONTWAIT);
    return received < 0 ? -errno : (int)received;
}

int cw_receive_fd(int channel) {
    char byte;
    struct iovec part = {.iov_base = &byte, .iov_len = sizeof byte};
    union {
        struct cmsghdr header;
        char bytes[CMSG_SPACE(sizeof(int))];
    } rights;
    struct msghdr message = {.msg_iov = &part,
                             .msg_iovlen = 1,
                             .msg_control = rights.bytes,
                             .msg_controllen = sizeof rights.bytes};
    ssize_t size = recvmsg(channel, &message, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
    if (size <= 0) return size == 0 ? -EPIPE : -errno;
    const struct cmsghdr *header = CMSG_FIRSTHDR(&message);
    // The kernel drops what finds no room in this process.
    if (header == NULL || header->cmsg_type != SCM_RIGHTS) return -EMFILE;
    int fd;
    memcpy(&fd, CMSG_DATA(header), sizeof fd);
    return fd;
}

static int copy(int from, int to) {
    char buffer[16384];
    ssize_t size;
    while ((size = read(from, buffer, sizeof buffer)) > 0)
        if (write(to, buffer, (size_t)size) != size) return -EIO;
    return size < 0 ? -errno : 0;
}

static int seal(const char *path) {
    CW_AUTO_FD file = open(path, O_RDONLY | O_CLOEXEC);
    if (file < 0) return -errno;
    unsigned flags = CW_MFD_CLOEXEC | CW_MFD_ALLOW_SEALING;
    int memory = (int)syscall(SYS_memfd_create, "cromwell-init", flags | MFD_EXEC);
    if (memory < 0 && errno == EINVAL) // before Linux 6.3
        memory = (int)syscall(SYS_memfd_create, "cromwell-init", flags);
    if (memory < 0) return -errno;
    int error = copy(file, memory);
    if (error == 0 && fcntl(memory, CW_F_ADD_SEALS, CW_SEALS | CW_SEAL_EXEC) < 0 &&
        fcntl(memory, CW_F_ADD_SEALS, CW_SEALS) < 0)
        error = -errno;
    if (error == 0 && (fcntl(memory, CW_F_GET_SEALS) & CW_SEALS) != CW_SEALS) error = -EPERM;
    int high = error == 0 ? raised(memory) : error; // not where a child puts its descriptors
    close(memory);
    return high;
}

// Workers have the addon in common, and so the copy.
int cw_seal(const char *path) {
    static int copy = -1;
    int known = __atomic_load_n(&copy, __ATOMIC_ACQUIRE);
    if (known >= 0) return known;
    int made = seal(path);
    if (made < 0) return made;
    if (__atomic_compare_exchange_n(&copy, &known, made, 0, __ATOMIC_ACQ_REL, __ATOMIC_ACQUIRE))
        return made;
    close(made);
    return known;
}
