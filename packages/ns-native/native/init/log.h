// SPDX-License-Identifier: MIT
// The container log: CRI format, one line of output per line: `time stream F|P text`.
#ifndef CW_LOG_H
#define CW_LOG_H

#include "fault.h"

int cw_log_open(const char *path, struct cw_fault *fault);

// Text after the last newline becomes a partial (P) line. Errors are let go: a full disk must not
// stop the container.
void cw_log_write(int log, const char *stream, const uint8_t *data, size_t size);

#endif
