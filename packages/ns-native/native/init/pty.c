// SPDX-License-Identifier: MIT
#include "pty.h"

#include "sys.h"
#include "target.h"

_Static_assert(sizeof(struct termios) <= CW_TERMINAL_STATE_SIZE, "termios fits");

int cw_pty_resize(int terminal, uint16_t columns, uint16_t rows) {
    struct winsize size = {.ws_col = columns, .ws_row = rows};
    return (int)sys_ioctl(terminal, TIOCSWINSZ, &size);
}

// The multiplexer of the container's devpts, or without an own /dev whatever /dev/ptmx is.
static int open_multiplexer(const struct cw_mounted *mounted) {
    if (mounted->pts >= 0)
        return (int)sys_openat(mounted->pts, "ptmx", O_RDWR | O_NOCTTY | O_CLOEXEC, 0);
    return (int)sys_openat2(mounted->root, "/dev/ptmx", O_RDWR | O_NOCTTY | O_CLOEXEC,
                            RESOLVE_IN_ROOT | RESOLVE_NO_MAGICLINKS);
}

// By descriptor, never by name: the name may mean another file by now (CVE-2025-52565).
static int bind_console(struct cw_mounted *mounted, int slave, struct cw_fault *fault) {
    struct statfs status;
    if (mounted->pts < 0) return 0;
    CW_TRY(fault, "fstatfs", sys_fstatfs(slave, &status));
    if ((unsigned long)status.f_type != DEVPTS_SUPER_MAGIC) return cw_fail(fault, "fstatfs", -ENOTTY);
    CW_AUTO_FD target = (int)CW_TRY(
        fault, "openat2", cw_target_make(mounted->root, "/dev/console", CW_TARGET_FILE, true));
    struct cw_place place = {.directory = target, .name = ""};
    return cw_mount_bind(mounted, slave, 0, 0, place, fault);
}

int cw_pty_open(const struct cw_config *config, struct cw_mounted *mounted, int pair[2],
                struct cw_fault *fault) {
    int unlocked = 0;
    cw_at(fault, CW_STEP_PTY, CW_NO_INDEX);
    pair[0] = (int)CW_TRY(fault, "open", open_multiplexer(mounted));
    CW_TRY(fault, "ioctl", sys_ioctl(pair[0], TIOCSPTLCK, &unlocked));
    pair[1] = (int)CW_TRY(fault, "ioctl",
                          sys_ioctl(pair[0], TIOCGPTPEER,
                                    (void *)(unsigned long)(O_RDWR | O_NOCTTY | O_CLOEXEC)));
    if (config->columns != 0 || config->rows != 0)
        CW_TRY(fault, "ioctl", cw_pty_resize(pair[0], config->columns, config->rows));
    if (config->uid != 0)
        CW_TRY(fault, "fchown", sys_fchown(pair[1], config->uid, (unsigned)-1));
    return bind_console(mounted, pair[1], fault);
}

int cw_terminal_raw(int terminal, void *saved) {
    struct termios mode = {0};
    long error = sys_ioctl(terminal, TCGETS, &mode);
    if (error < 0) return (int)error;
    memcpy(saved, &mode, sizeof mode);
    mode.c_iflag &= ~(unsigned)(IGNBRK | BRKINT | PARMRK | ISTRIP | INLCR | IGNCR | ICRNL | IXON);
    mode.c_oflag &= ~(unsigned)OPOST;
    mode.c_lflag &= ~(unsigned)(ECHO | ECHONL | ICANON | ISIG | IEXTEN);
    mode.c_cflag = (mode.c_cflag & ~(unsigned)(CSIZE | PARENB)) | CS8;
    mode.c_cc[VMIN] = 1;
    mode.c_cc[VTIME] = 0;
    return (int)sys_ioctl(terminal, TCSETS, &mode);
}

void cw_terminal_restore(int terminal, const void *saved) { sys_ioctl(terminal, TCSETS, saved); }
