// SPDX-License-Identifier: MIT
#ifndef CW_EXIT_FILE_H
#define CW_EXIT_FILE_H

// Record a wait status: temporary file, fsync, rename. 0 or -errno.
int cw_exit_file_write(const char *path, int status);

#endif
