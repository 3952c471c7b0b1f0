// SPDX-License-Identifier: MIT
#include "extras.h"

#include "sys.h"

#define CW_BEYOND (CW_EXTRA_TARGET_MAX + 1)

static int check(int fd, struct cw_fault *fault) {
    struct statx status;
    struct termios mode;
    CW_TRY(fault, "statx", sys_statx(fd, "", AT_EMPTY_PATH, &status));
    // ".." of it would be the host's (CVE-2024-21626).
    if ((status.stx_mode & S_IFMT) == S_IFDIR) return cw_fail(fault, "statx", -EISDIR);
    // What is typed into a terminal is obeyed outside (CVE-2017-5226).
    if (sys_ioctl(fd, TCGETS, &mode) == 0) return cw_fail(fault, "ioctl", -EPERM);
    return 0;
}

int cw_extras_check(const struct cw_config *config, struct cw_fault *fault) {
    cw_at(fault, CW_STEP_STDIO, CW_NO_INDEX);
    unsigned end = CW_EXTRA_FIRST + config->extra_count;
    if (config->extra_count < CW_EXTRAS_MAX)
        CW_TRY(fault, "close_range",
               sys_close_range(end, CW_EXTRA_FIRST + CW_EXTRAS_MAX - 1, 0));
    for (uint32_t i = 0; i < config->extra_count; i++) {
        int fd = CW_EXTRA_FIRST + (int)i;
        cw_at(fault, CW_STEP_STDIO, config->extras[i]);
        int error = check(fd, fault);
        if (error < 0) return error;
        sys_fcntl(fd, F_SETFD, FD_CLOEXEC);
    }
    return 0;
}

unsigned cw_extras_list(const struct cw_config *config, int *fds) {
    for (uint32_t i = 0; i < config->extra_count; i++) fds[i] = CW_EXTRA_FIRST + (int)i;
    return config->extra_count;
}

int cw_extras_raise(const struct cw_config *config, int fd) {
    if (config->extra_count == 0) return fd;
    long raised = sys_fcntl(fd, F_DUPFD_CLOEXEC, CW_BEYOND);
    if (raised >= 0) sys_close(fd);
    return (int)raised;
}

int cw_extras_move(const struct cw_config *config, int *moved, struct cw_fault *fault) {
    for (uint32_t i = 0; i < config->extra_count; i++) {
        cw_at(fault, CW_STEP_STDIO, config->extras[i]);
        moved[i] = (int)CW_TRY(fault, "fcntl", sys_fcntl(CW_EXTRA_FIRST + (int)i, F_DUPFD_CLOEXEC,
                                                         CW_BEYOND));
    }
    return 0;
}

int cw_extras_place(const struct cw_config *config, const int *moved, struct cw_fault *fault) {
    for (uint32_t i = 0; i < config->extra_count; i++)
        CW_TRY(fault, "dup3", sys_dup3(moved[i], (int)config->extras[i], 0));
    return 0;
}

void cw_extras_close(const struct cw_config *config) {
    if (config->extra_count > 0)
        sys_close_range(CW_EXTRA_FIRST, CW_EXTRA_FIRST + config->extra_count - 1, 0);
}
