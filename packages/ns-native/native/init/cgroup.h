// SPDX-License-Identifier: MIT
// The control groups of a container: made before it, joined by birth where the kernel can do that,
// read when it has ended, removed. Which groups, and what is written into them, is decided in
// TypeScript; the monitor itself stays outside of them.
#ifndef CW_CGROUP_H
#define CW_CGROUP_H

#include "config.h"

#include <stdbool.h>
#include <stdint.h>

struct cw_monitor;

// What can be read about a container, as CW_FIGURE_* of records.h, and from where.
struct cw_usage {
    uint64_t values[CW_FIGURES];
    uint8_t sources[CW_FIGURES]; // CW_SOURCE_*
};

static inline void cw_usage_set(struct cw_usage *usage, unsigned figure, uint64_t value,
                                uint8_t source) {
    usage->values[figure] = value;
    usage->sources[figure] = source;
}

// Make the groups and write into them; before the clone.
int cw_cgroup_open(struct cw_monitor *m);

// clone(2) into the group of version 2 if there is one; the pid, or -errno.
long cw_cgroup_clone(struct cw_monitor *m, unsigned long flags);

// Put init, which waits, into the groups that nobody can be born into.
int cw_cgroup_attach(struct cw_monitor *m);

// All that is inside, at once, where the kernel can do that.
void cw_cgroup_kill(struct cw_monitor *m);

// Ask the freezer; whether it has done so is another question.
int cw_cgroup_freeze(struct cw_monitor *m, bool frozen);
bool cw_cgroup_is_frozen(const struct cw_monitor *m);

// The descriptor of a file of the first group that has all of `roles`, or -errno.
int cw_cgroup_file(const struct cw_monitor *m, uint32_t roles, const char *name, int flags);

// Fill in what the groups know.
void cw_cgroup_read(const struct cw_monitor *m, struct cw_usage *usage);

// Remove what was made, and what dead monitors left beside it.
void cw_cgroup_remove(struct cw_monitor *m);
void cw_cgroup_sweep(const struct cw_monitor *m);

#endif
