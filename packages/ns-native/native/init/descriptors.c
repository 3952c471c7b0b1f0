// SPDX-License-Identifier: MIT
#include "descriptors.h"

#include "sys.h"
#include "text.h"

#define CW_PATH_MAX 4096

int cw_close_others(int *keep, unsigned count) {
    for (unsigned i = 1; i < count; i++)
        for (unsigned j = i; j > 0 && keep[j - 1] > keep[j]; j--) {
            int swapped = keep[j];
            keep[j] = keep[j - 1];
            keep[j - 1] = swapped;
        }
    unsigned first = 3;
    for (unsigned i = 0; i < count; i++) {
        if (keep[i] < 3) continue;
        unsigned fd = (unsigned)keep[i];
        long error = fd > first ? sys_close_range(first, fd - 1, 0) : 0;
        if (error < 0) return (int)error;
        first = fd + 1;
    }
    return (int)sys_close_range(first, ~0U, 0);
}

int cw_fill_stdio(void) {
    for (int fd = 0; fd < 3; fd++) {
        if (sys_fcntl(fd, F_GETFD, 0) >= 0) continue;
        long opened = sys_openat(AT_FDCWD, "/dev/null", O_RDWR, 0);
        if (opened < 0) return (int)opened;
    }
    return 0;
}

int cw_point_at_null(int fd) {
    CW_AUTO_FD null = (int)sys_openat(AT_FDCWD, "/dev/null", O_RDWR | O_CLOEXEC, 0);
    if (null < 0) return null;
    return (int)sys_dup3(null, fd, 0);
}

int cw_set_nonblocking(int fd, int on) {
    long flags = sys_fcntl(fd, F_GETFL, 0);
    if (flags < 0) return (int)flags;
    long wanted = on ? flags | O_NONBLOCK : flags & ~O_NONBLOCK;
    return wanted == flags ? 0 : (int)sys_fcntl(fd, F_SETFL, wanted);
}

int cw_open_parent(const char *path) {
    char parent[CW_PATH_MAX];
    size_t size = (size_t)(cw_last_component(path) - path);
    if (size == 0 || size >= sizeof parent) return -ENAMETOOLONG;
    memcpy(parent, path, size);
    parent[size] = '\0';
    return (int)sys_openat(AT_FDCWD, parent, O_RDONLY | O_DIRECTORY | O_CLOEXEC, 0);
}
