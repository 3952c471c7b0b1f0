// SPDX-License-Identifier: MIT
#ifndef CW_CAPS_H
#define CW_CAPS_H

#include "fault.h"

// Drop from the bounding set what is not in `kept`. `harmless`: it cannot matter, so somebody who
// may not (a plain user without a user namespace of ours) need not.
int cw_caps_bound(uint64_t kept, bool harmless, struct cw_fault *fault);

// Make `kept` permitted and effective, and `ambient` of them inheritable and ambient, that is, left
// to the program although its user is not root; nothing else is either (CVE-2022-29162).
int cw_caps_set(uint64_t kept, uint64_t ambient, struct cw_fault *fault);

#endif
