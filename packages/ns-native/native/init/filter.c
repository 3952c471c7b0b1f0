// SPDX-License-Identifier: MIT
#include "filter.h"

#include "packet.h"
#include "sys.h"

#ifndef SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV
#define SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV (1UL << 5) // Linux 5.19
#endif
#define CW_COURIER_NAP_NS 20000
#define CW_COURIER_NAPS 250000 /* some ten seconds */

// What the courier waits for: 0 not yet, else the listener, or -errno.
typedef volatile int cw_handover;

// The filter may forbid every call, or ask the monitor about it, before the monitor has the
// listener. So it is carried there by a process that shares our descriptors but not our filter. It
// ends as nobody's concern, and before we are seen to have become the program: the descriptors by
// which that is seen are its own, too.
static _Noreturn void carry(cw_handover *handover, int socket) {
    struct cw_packet packet = {.kind = CW_PACKET_NOTIFY};
    struct __kernel_timespec nap = {.tv_nsec = CW_COURIER_NAP_NS};
    for (unsigned i = 0; *handover == 0 && i < CW_COURIER_NAPS; i++) sys_nap(&nap);
    int listener = *handover;
    if (listener > 0) cw_packet_send_fds(socket, &packet, &listener, 1);
    sys_exit(0);
}

static long install(const struct sock_fprog *program, unsigned flags) {
    return sys_seccomp(SECCOMP_SET_MODE_FILTER, flags, program);
}

static int install_with_listener(const struct sock_fprog *program, int socket,
                                 struct cw_fault *fault) {
    cw_at(fault, CW_STEP_NOTIFY, CW_NO_INDEX);
    long memory = CW_TRY(fault, "mmap", sys_map_shared(sizeof(cw_handover)));
    cw_handover *handover = (cw_handover *)memory;
    long courier = CW_TRY(fault, "clone", sys_clone(CLONE_FILES | CLONE_PARENT, NULL));
    if (courier == 0) carry(handover, socket);
    cw_at(fault, CW_STEP_SECCOMP, CW_NO_INDEX);
    unsigned flags = SECCOMP_FILTER_FLAG_NEW_LISTENER;
    long listener = install(program, flags | SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV);
    if (listener == -EINVAL) listener = install(program, flags);
    *handover = (int)listener;
    CW_TRY(fault, "seccomp", listener);
    return 0;
}

int cw_filter_install(const struct cw_config *config, int socket, struct cw_fault *fault) {
    if (config->seccomp == NULL) return 0;
    struct sock_fprog program = {
        .len = (unsigned short)config->seccomp_count,
        // The kernel copies it; its type just lacks the const.
        .filter = (struct sock_filter *)(uintptr_t)config->seccomp,
    };
    if (config->notify_flags != 0) return install_with_listener(&program, socket, fault);
    cw_at(fault, CW_STEP_SECCOMP, CW_NO_INDEX);
    CW_TRY(fault, "seccomp", install(&program, 0));
    return 0;
}
