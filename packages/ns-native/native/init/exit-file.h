// SPDX-License-Identifier: MIT
#ifndef CW_EXIT_FILE_H
#define CW_EXIT_FILE_H

#include <stdint.h>

// Record a wait status and a CW_REASON_*: temporary file, fsync, rename. 0 or -errno.
int cw_exit_file_write(const char *path, int status, uint32_t reason);

#endif
