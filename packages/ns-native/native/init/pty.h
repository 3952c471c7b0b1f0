// SPDX-License-Identifier: MIT
#ifndef CW_PTY_H
#define CW_PTY_H

#include "config.h"
#include "mounts.h"

// A pseudo-terminal of the container's own devpts: pair[0] master, pair[1] slave. The slave is
// also the container's /dev/console.
int cw_pty_open(const struct cw_config *config, struct cw_mounted *mounted, int pair[2],
                struct cw_fault *fault);

int cw_pty_resize(int terminal, uint16_t columns, uint16_t rows);

// Put a terminal into raw mode, keeping in `saved` what it was.
int cw_terminal_raw(int terminal, void *saved);
void cw_terminal_restore(int terminal, const void *saved);
#define CW_TERMINAL_STATE_SIZE 64

#endif
