// SPDX-License-Identifier: MIT
// What a process may use and how it ranks among others: rlimits, nice, I/O priority, processors,
// the OOM killer's score.
#ifndef CW_RESOURCES_H
#define CW_RESOURCES_H

#include "config.h"
#include "fault.h"

// From outside, to init before it does anything: what needs the caller's rights, which a user
// namespace takes away. `proc` may be -1 unless the OOM score is set.
int cw_resources_rank(const struct cw_config *config, int proc, int pid, struct cw_fault *fault);

// Whether that has to be done from outside. Otherwise init does it to itself, as process 0.
bool cw_resources_take_rights(const struct cw_config *config);

// The payload's own: the configured resource limits.
int cw_resources_limit(const struct cw_config *config, struct cw_fault *fault);

#endif
