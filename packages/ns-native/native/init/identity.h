// SPDX-License-Identifier: MIT
// What /proc says of a process that tells it from a later one of the same number.
#ifndef CW_IDENTITY_H
#define CW_IDENTITY_H

#include <stddef.h>
#include <stdint.h>

// The start of a file of /proc/<pid>, as a string; its length or -errno.
long cw_proc_read(int proc, int pid, const char *name, char *text, size_t size);

// A decimal number after spaces; returns what follows it.
const char *cw_read_number(const char *at, uint64_t *number);

// Fields 4 and 22 of /proc/<pid>/stat, proc_pid_stat(5).
long cw_proc_stat(int proc, int pid, uint64_t *parent, uint64_t *start_time);

#endif
