// SPDX-License-Identifier: MIT
// The launch configuration, decoded in place: strings point into the message.
#ifndef CW_CONFIG_H
#define CW_CONFIG_H

#include "privilege.h"
#include "records.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct cw_id_range {
    uint32_t inside;
    uint32_t outside;
    uint32_t size;
};

struct cw_id_map {
    struct cw_id_range *ranges;
    uint32_t count;
};

struct cw_mount {
    uint32_t kind;
    uint32_t flags;
    uint32_t mode;
    uint64_t size;
    const char *source;
    const char *destination;
    const uint8_t *content; // of a file
    size_t content_size;
    const char *layers; // of an overlay, one string after the other: upper, work, lower ones
    uint32_t layer_count;
};

// Where a socket listens or connects to, inside.
struct cw_endpoint {
    uint16_t version; // of IP: 4 or 6
    uint16_t port;
    uint8_t address[16];
};

// Followed by a NULL, as execve wants it.
struct cw_strings {
    const char **items;
    uint32_t count;
};

// A container to be joined: its init, and what tells that from a later process of the same number.
struct cw_join {
    uint32_t pid; // 0: none
    uint32_t parent;
    uint64_t start_time;
};

struct cw_group {
    uint32_t flags; // CW_GROUP_*
    uint32_t roles; // CW_ROLE_*
    const char *path;
    const char *writes; // file and value, one string after the other
    uint32_t write_count;
    int fd;    // the monitor's
    bool made; // likewise
};

// What the monitor holds by itself, as it is on the wire; 0 is no limit.
struct cw_limits {
    uint64_t wall_ms;
    uint64_t cpu_micros;
    uint64_t output_bytes;
    uint64_t memory_bytes; // sampled
    uint64_t pids;         // sampled; init is not counted
    uint64_t nproc;        // RLIMIT_NPROC
};

struct cw_config {
    uint32_t namespaces;
    uint32_t id_map_kind;
    struct cw_id_map uids;
    struct cw_id_map gids;
    const char *newuidmap;
    const char *newgidmap;
    const char *hostname;
    const char *root;
    bool root_tmpfs; // instead of `root`
    uint64_t root_size;
    uint32_t root_mode;
    struct cw_strings lower;
    const char *upper;
    const char *work;
    struct cw_mount *mounts;
    uint32_t mount_count;
    struct cw_strings masked;
    struct cw_strings readonly;
    struct cw_strings arguments;
    struct cw_strings environment;
    const char *cwd;
    uint32_t uid;
    uint32_t gid;
    uint32_t umask;
    uint32_t process_flags;
    const uint32_t *groups;
    uint32_t group_count;
    bool terminal;
    uint16_t columns;
    uint16_t rows;
    uint64_t capabilities;
    const void *seccomp;
    uint32_t seccomp_count;
    uint32_t notify_flags; // 0: the filter asks nobody
    uint32_t notify_timeout_ms;
    const char *log_path;
    const char *exit_path;
    struct cw_strings removals;
    struct cw_join join;
    const char *attach_path;
    uint32_t *extras; // what the descriptors from 5 on are to be
    uint32_t extra_count;
    bool channel;
    struct cw_endpoint *listeners;
    uint32_t listener_count;
    struct cw_strings uplink;
    struct cw_privilege privilege;
    struct cw_group *cgroups;
    uint32_t cgroup_count;
    struct cw_limits limits;
};

// Whether the container's network is not the caller's.
bool cw_has_network(const struct cw_config *config);

// Bytes of working memory that cw_config_decode may need for a message of this length.
static inline size_t cw_config_memory(size_t length) { return 4 * length + 4096; }

// A valid endpoint in bytes as they come; -EINVAL for anything else.
int cw_endpoint_decode(const uint8_t *data, size_t length, struct cw_endpoint *endpoint);

// Decode the records of a configuration message. `memory` is zeroed and 8-aligned, as is `data`.
// Returns 0, -EINVAL for anything malformed, -EOPNOTSUPP for an unknown must-understand record.
int cw_config_decode(uint8_t *data, size_t length, void *memory, size_t memory_size,
                     struct cw_config *config);

#endif
