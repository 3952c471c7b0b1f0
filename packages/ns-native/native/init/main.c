// SPDX-License-Identifier: MIT
// cromwell-init: monitor outside, PID 1 inside. Configured by records on descriptor 3, never by
// arguments or environment; started by @cromwell/ns-native.
#include "channel.h"
#include "descriptors.h"
#include "extras.h"
#include "monitor.h"
#include "sys.h"
#include "text.h"

#define CW_CONTROL 3

#if defined(__x86_64__)
__asm__(".globl _start\n_start:\n  xor %ebp, %ebp\n  and $-16, %rsp\n  call cw_main\n  hlt\n");
#elif defined(__aarch64__)
__asm__(".globl _start\n_start:\n  mov x29, #0\n  mov x30, #0\n  bl cw_main\n  brk #0\n");
#endif

_Noreturn void cw_main(void);

static bool is_unix_socket(int fd) {
    int domain = 0;
    return sys_getsockopt(fd, CW_SO_DOMAIN, &domain) == 0 && domain == CW_AF_UNIX;
}

// Only what could be the descriptor channel stays open; the configuration says whether it is one.
static void close_all_but_channel(void) {
    if (!cw_is_channel(CW_CHANNEL)) sys_close(CW_CHANNEL);
    sys_fcntl(CW_CHANNEL, F_SETFD, FD_CLOEXEC);
}

static void say(const char *text) { sys_write(2, text, strlen(text)); }

void cw_main(void) {
    if (!is_unix_socket(CW_CONTROL)) {
        say("cromwell-init: the helper of @cromwell/ns-native, which starts it with a control "
            "socket; not for use by hand\n");
        sys_exit(125);
    }
    // The launcher may have leaked descriptors of its own to us (CVE-2024-21626): gone first.
    // What may be the program's is looked at when the configuration is known.
    if (sys_close_range(CW_EXTRA_FIRST + CW_EXTRAS_MAX, ~0U, 0) < 0 || cw_fill_stdio() < 0) {
        say("cromwell-init: needs Linux 5.11 or later and /dev/null\n");
        sys_exit(125);
    }
    close_all_but_channel();
    // What the launcher ignores (Node: SIGPIPE, SIGXFSZ) is no business of the program's.
    for (int signal = 1; signal <= CW_SIGNAL_MAX; signal++) sys_sigdefault(signal);
    sys_fcntl(CW_CONTROL, F_SETFD, FD_CLOEXEC);
    // A launcher's, such as no randomised addresses, is inherited through exec and all.
    sys_personality(0);
    sys_prctl(PR_SET_NAME, (unsigned long)"cromwell-init", 0);
    sys_exit(cw_monitor(CW_CONTROL));
}
