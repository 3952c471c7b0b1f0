// SPDX-License-Identifier: MIT
// What a container's processes use, added up by looking at each.
#ifndef CW_TREE_H
#define CW_TREE_H

#include <stdint.h>

// More processes than this are not told apart from too many.
#define CW_TREE_MAX 8192

struct cw_tree {
    uint64_t memory;      // resident bytes, shared ones counted each time
    uint64_t user_micros; // of all that live, and of all that were waited for
    uint64_t system_micros;
    uint32_t threads;
    uint32_t count; // of pids
    uint32_t pids[CW_TREE_MAX];
};

// Everything that descends from `pid`; `proc` is /proc.
void cw_tree_look(int proc, uint32_t pid, struct cw_tree *tree);

// Resident bytes of what was found, each shared page in parts; slow. 0: not to be had.
uint64_t cw_tree_proportional(int proc, const struct cw_tree *tree);

#endif
