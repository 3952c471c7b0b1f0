// SPDX-License-Identifier: MIT
#ifndef CW_PAYLOAD_H
#define CW_PAYLOAD_H

#include "config.h"
#include "fault.h"

// Turn this process, a fresh child of init, into the configured program. Returns only on failure.
// `slave` is the pty's, or -1; `parent` is init as this process sees it.
int cw_payload(const struct cw_config *config, int slave, int parent, struct cw_fault *fault);

#endif
