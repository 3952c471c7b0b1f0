// SPDX-License-Identifier: MIT
// The only way to /proc. What lies there may be anything that somebody mounted; writes that are to
// change a process or a sysctl must reach the kernel (CVE-2019-16884, CVE-2025-52881).
#ifndef CW_PROCFS_H
#define CW_PROCFS_H

#include "fault.h"

// The host's /proc, O_PATH, after checking that it is the root of a procfs of our pid namespace.
int cw_proc_open(struct cw_fault *fault);

// A procfs of our own that is mounted nowhere. Where the kernel does not give us one, the /proc in
// sight, checked as far as it can be from inside: only for "self" and "sys".
int cw_proc_fresh(struct cw_fault *fault);

// Open a file below a procfs; -EXDEV when something is mounted on the way or on it.
int cw_proc_open_file(int proc, const char *path, int flags);
int cw_proc_open_of(int proc, int pid, const char *name, int flags);

// A namespace of a process, as a descriptor.
int cw_proc_open_namespace(int proc, int pid, const char *name, uint32_t type);

// 0 when `fd` is a namespace of this CLONE_NEW* type, -EINVAL for another, -ENOTTY for none.
int cw_namespace_check(int fd, uint32_t type);

// Write a whole file of /proc/<pid>, or of /proc/self with pid 0.
int cw_proc_write(int proc, int pid, const char *name, const struct cw_text *content,
                  struct cw_fault *fault);

#endif
