// SPDX-License-Identifier: MIT
#ifndef CW_CAPS_H
#define CW_CAPS_H

#include "fault.h"

// Drop from the bounding set what is not in `kept`.
int cw_caps_bound(uint64_t kept, struct cw_fault *fault);

// Make `kept` permitted and effective; nothing is inheritable or ambient (CVE-2022-29162).
int cw_caps_set(uint64_t kept, struct cw_fault *fault);

#endif
