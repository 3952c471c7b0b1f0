// SPDX-License-Identifier: MIT
// A root of one id: the kernel has one id to give, so changes of ids are played here. No protection
// comes of it, only programs that find what they expect: the kernel's own credentials never change.
#ifndef CW_EMULATE_ROOT_H
#define CW_EMULATE_ROOT_H

#include "config.h"
#include "fault.h"

#include <linux/seccomp.h>

struct cw_credentials;

struct cw_emulation {
    int proc;                          // the host's /proc
    struct cw_credentials *credentials; // all that any process has had; the first is the initial one
    uint32_t count;
};

int cw_emulation_open(struct cw_emulation *emulation, const struct cw_config *config,
                      struct cw_fault *fault);

// Fills in the response, and is true, when the call is one of those that are emulated.
bool cw_emulate_root(struct cw_emulation *emulation, int listener,
                     const struct seccomp_notif *call, struct seccomp_notif_resp *response);

#endif
