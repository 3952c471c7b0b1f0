// SPDX-License-Identifier: MIT
#define _GNU_SOURCE
#include "native.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/ioctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <asm/termbits.h>

static int result_of(long result) { return result < 0 ? -errno : (int)result; }

int cw_mknod(const char *path, uint32_t mode, uint32_t device) {
    return result_of(syscall(SYS_mknodat, AT_FDCWD, path, mode, device));
}

int cw_setxattr(const char *path, const char *name, const void *value, size_t size) {
    return result_of(syscall(SYS_lsetxattr, path, name, value, size, 0));
}

int cw_getxattr(const char *path, const char *name, void *value, size_t size) {
    return result_of(syscall(SYS_lgetxattr, path, name, value, size));
}

int cw_listxattr(const char *path, char *names, size_t size) {
    return result_of(syscall(SYS_llistxattr, path, names, size));
}

int cw_removexattr(const char *path, const char *name) {
    return result_of(syscall(SYS_lremovexattr, path, name));
}

int cw_syncfs(const char *path) {
    int fd = open(path, O_RDONLY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
    if (fd < 0) return -errno;
    int result = result_of(syscall(SYS_syncfs, fd));
    close(fd);
    return result;
}

int cw_landlock_abi(void) {
    return result_of(syscall(SYS_landlock_create_ruleset, NULL, 0, 1 /* ..._VERSION */));
}

int cw_terminal_save(int fd, void *state, size_t size) {
    if (size < sizeof(struct termios)) return -EINVAL;
    return result_of(ioctl(fd, TCGETS, state));
}

int cw_terminal_load(int fd, const void *state, size_t size) {
    if (size < sizeof(struct termios)) return -EINVAL;
    return result_of(ioctl(fd, TCSETS, state));
}
