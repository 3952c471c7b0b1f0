// SPDX-License-Identifier: MIT
// The part of the configuration about privilege: joined namespaces, clocks, limits and priorities of
// the process, labels, Landlock.
#ifndef CW_PRIVILEGE_H
#define CW_PRIVILEGE_H

#include "records.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define CW_JOINS_MAX 8
#define CW_CLOCKS_MAX 2
#define CW_RLIMITS_MAX 16
#define CW_CPUS_MAX 8192 /* CONFIG_NR_CPUS of the largest kernels */

struct cw_namespace {
    uint32_t type; // CLONE_NEW*
    const char *path;
};

struct cw_time_offset {
    uint32_t clock;
    uint32_t nanoseconds;
    int64_t seconds;
};

struct cw_rlimit {
    uint32_t resource;
    uint64_t soft;
    uint64_t hard;
};

struct cw_landlock_rule {
    uint32_t kind; // CW_LANDLOCK_*
    uint32_t flags;
    uint64_t access;
    uint64_t port;
    const char *path;
};

struct cw_landlock_rights {
    uint64_t fs;
    uint64_t net;
    uint64_t scope;
};

struct cw_landlock {
    bool wanted;
    struct cw_landlock_rights handled;
    struct cw_landlock_rights dispensable; // of those: what this kernel may lack
    struct cw_landlock_rule *rules;
    uint32_t rule_count;
};

struct cw_privilege {
    struct cw_namespace joins[CW_JOINS_MAX];
    uint32_t join_count;
    uint32_t joined; // CLONE_NEW*
    struct cw_time_offset offsets[CW_CLOCKS_MAX];
    uint32_t offset_count;
    struct cw_rlimit rlimits[CW_RLIMITS_MAX];
    uint32_t rlimit_count;
    uint32_t settings; // bit n: setting n was given
    int64_t oom_score_adj;
    int64_t nice;
    uint64_t io_priority;
    uint64_t max_user_namespaces;
    uint64_t ambient;
    uint64_t cpus[CW_CPUS_MAX / 64];
    const char *domainname;
    const char *apparmor;
    const char *selinux;
    struct cw_landlock landlock;
};

static inline bool cw_is_set(const struct cw_privilege *privilege, unsigned setting) {
    return privilege->settings >> setting & 1;
}

// Decode a record of this part. `rules` of the Landlock part has room for all of them.
int cw_privilege_decode(uint16_t type, uint8_t *payload, uint32_t length,
                        struct cw_privilege *privilege);

#endif
