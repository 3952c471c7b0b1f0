// SPDX-License-Identifier: MIT
#ifndef CW_PAYLOAD_H
#define CW_PAYLOAD_H

#include "config.h"
#include "fault.h"

// Turn this process, a fresh child of init or of the joiner, into the configured program. Returns
// only on failure. `slave` is the pty's, or -1; `proc` a procfs, or -1; `lifeline` leads to
// the parent, `socket` to the monitor where the filter has a listener.
int cw_payload(const struct cw_config *config, int slave, int proc, int lifeline, int socket,
               struct cw_fault *fault);

// The fault for one that was ended before it was the program: its own filter, or somebody with a
// SIGKILL.
int cw_payload_died(const struct cw_config *config, int status, struct cw_fault *fault);

#endif
