// SPDX-License-Identifier: MIT
#ifndef CW_LABEL_H
#define CW_LABEL_H

#include "config.h"
#include "fault.h"

// Have the next exec of this process change to the configured AppArmor profile and SELinux label.
// `proc` is a procfs, needed when there are any.
int cw_label_next_exec(const struct cw_config *config, int proc, struct cw_fault *fault);

#endif
