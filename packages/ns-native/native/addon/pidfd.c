// SPDX-License-Identifier: MIT
#define _GNU_SOURCE
#include "native.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/syscall.h>
#include <unistd.h>

static int result_of(long result) { return result < 0 ? -errno : (int)result; }

int cw_pidfd_open(int pid) { return result_of(syscall(SYS_pidfd_open, pid, 0)); }

int cw_pidfd_send_signal(int pidfd, int signal) {
    return result_of(syscall(SYS_pidfd_send_signal, pidfd, signal, NULL, 0));
}

// Signal 0 asks only, and asks a descriptor that is none whether it is one.
int cw_pidfd_copy(int pidfd) {
    int error = cw_pidfd_send_signal(pidfd, 0);
    if (error == -EBADF || error == -EINVAL) return -EBADF;
    return result_of(fcntl(pidfd, F_DUPFD_CLOEXEC, 3));
}
