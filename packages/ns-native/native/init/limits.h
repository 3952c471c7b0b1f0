// SPDX-License-Identifier: MIT
// Limits that the monitor itself holds (wall clock, processor time, output, and without a cgroup
// memory and processes), why the container ended, and what it used. Here rather than in Node, so
// that they hold when Node is busy, stopped or gone.
#ifndef CW_LIMITS_H
#define CW_LIMITS_H

#include "cgroup.h"
#include "fault.h"
#include "message.h"
#include "tree.h"

#include <linux/time_types.h>

// As it is on the wire.
struct cw_usage_record {
    uint32_t token; // of the question; 0: it has ended
    uint32_t reason;
    uint64_t wall_micros;
    struct cw_usage usage;
};

struct cw_limits_state {
    uint32_t reason;  // CW_REASON_* of what the monitor ended it for; 0: nothing
    bool signalled;   // the caller sent a signal: what follows is the caller's doing
    bool migrated;    // clone3 could not, so init was moved into its group
    uint8_t freezing; // CW_RUNS, or what the caller wants instead
    int wall_timer;   // these are -1 while there is nothing for them to do
    int sample_timer;
    int proc;
    struct cw_tree *tree;
    struct __kernel_timespec started;
    struct cw_usage_record last; // at the end
    uint64_t peak_memory; // as sampled
    uint64_t peak_pids;
    uint64_t user_micros;
    uint64_t system_micros;
};

// What the limits need to be held with; before the clone.
int cw_limits_open(struct cw_monitor *m);

// The program runs: start the clocks.
void cw_limits_start(struct cw_monitor *m);

// Init has been waited for.
void cw_limits_stop(struct cw_monitor *m);

// A command, and where its answer goes.
void cw_limits_obey(struct cw_monitor *m, int control, const struct cw_command *command);

// The relay may have been asked to pass on more than is allowed.
void cw_limits_look_at_output(struct cw_monitor *m);

// End the container, because of `reason` unless there was one before.
void cw_limits_end(struct cw_monitor *m, uint32_t reason);

// All is over: find out what it used and why it ended; the latter is returned.
uint32_t cw_limits_finish(struct cw_monitor *m);

// Say so, and how it ended.
void cw_limits_tell(const struct cw_monitor *m, int control);

// In the program, before it is one: how many processes its user namespace may have.
int cw_limits_of_program(const struct cw_config *config, struct cw_fault *fault);

#endif
