// SPDX-License-Identifier: MIT
#include "config.h"

#include "extras.h"
#include "numbers.h"
#include "text.h"

#include <linux/errno.h>
#include <linux/sched.h>

struct record {
    uint16_t type;
    uint16_t flags;
    uint32_t length;
    uint8_t *payload;
};

struct arena {
    uint8_t *at;
    size_t left;
};

// Takes the next record off the message; 0 at its end.
static int next_record(uint8_t **data, size_t *left, struct record *record) {
    if (*left == 0) return 0;
    if (*left < 8) return -EINVAL;
    uint32_t head = u32_at(*data);
    record->type = (uint16_t)head;
    record->flags = (uint16_t)(head >> 16);
    record->length = u32_at(*data + 4);
    record->payload = *data + 8;
    *data += 8;
    *left -= 8;
    if (record->flags & ~CW_FLAG_MUST_UNDERSTAND) return -EINVAL;
    if (record->length > *left) return -EINVAL;
    size_t padded = ((size_t)record->length + 3) & ~(size_t)3;
    if (padded > *left) return -EINVAL;
    for (size_t i = record->length; i < padded; i++)
        if (record->payload[i] != 0) return -EINVAL;
    *data += padded;
    *left -= padded;
    return 1;
}

static void *take(struct arena *arena, size_t size) {
    size = (size + 7) & ~(size_t)7;
    if (size > arena->left) return NULL;
    void *memory = arena->at;
    arena->at += size;
    arena->left -= size;
    return memory;
}

// A string that is exactly the given bytes: not empty, one NUL, at the end.
static const char *text_in(const uint8_t *data, size_t length) {
    if (length < 2 || data[length - 1] != '\0') return NULL;
    for (size_t i = 0; i + 1 < length; i++)
        if (data[i] == '\0') return NULL;
    return (const char *)data;
}

static int one_text(const struct record *record, const char **out) {
    if (*out != NULL) return -EINVAL;
    *out = text_in(record->payload, record->length);
    return *out == NULL ? -EINVAL : 0;
}

static int add_text(const struct record *record, struct cw_strings *out) {
    const char *text = (const char *)record->payload;
    // An argument may be empty; everything else is checked where it is used.
    bool empty_argument = record->length == 1 && record->payload[0] == '\0' &&
                          (record->type == CW_RECORD_ARGUMENT);
    if (!empty_argument && text_in(record->payload, record->length) == NULL) return -EINVAL;
    out->items[out->count++] = text;
    return 0;
}

static int add_range(const struct record *record, struct cw_id_map *out) {
    if (record->length != 12) return -EINVAL;
    out->ranges[out->count++] = (struct cw_id_range){
        .inside = u32_at(record->payload),
        .outside = u32_at(record->payload + 4),
        .size = u32_at(record->payload + 8),
    };
    return 0;
}

static const char *next_text(const uint8_t **texts, size_t *left) {
    const char *text = (const char *)*texts;
    size_t length = 0;
    while (length < *left && (*texts)[length] != '\0') length++;
    if (length == *left) return NULL;
    *texts += length + 1;
    *left -= length + 1;
    return text;
}

static int add_layers(const uint8_t *texts, size_t left, struct cw_mount *mount) {
    mount->layers = (const char *)texts;
    while (left > 0) {
        const char *layer = next_text(&texts, &left);
        if (layer == NULL || layer[0] != '/') return -EINVAL;
        mount->layer_count++;
    }
    // upper, work, and something to lie on
    return (mount->kind == CW_MOUNT_OVERLAY) == (mount->layer_count >= 3) ? 0 : -EINVAL;
}

// What comes before the destination: the path outside of a bind, the text of a link.
static bool is_source_of(uint32_t kind, const char *source) {
    if (kind == CW_MOUNT_BIND) return source[0] == '/';
    return (kind == CW_MOUNT_SYMLINK) == (source[0] != '\0');
}

static int add_mount(const struct record *record, struct cw_config *config) {
    if (record->length < 24 + 2) return -EINVAL;
    struct cw_mount *mount = &config->mounts[config->mount_count++];
    mount->kind = u32_at(record->payload);
    mount->flags = u32_at(record->payload + 4);
    mount->mode = u32_at(record->payload + 8);
    mount->size = u64_at(record->payload + 16);
    if (u32_at(record->payload + 12) != 0 || mount->kind > CW_MOUNT_SYMLINK) return -EINVAL;
    uint32_t known = CW_MOUNT_FLAG_READONLY | CW_MOUNT_FLAG_NOSUID | CW_MOUNT_FLAG_NODEV |
                     CW_MOUNT_FLAG_NOEXEC;
    if (mount->kind == CW_MOUNT_OVERLAY) known |= CW_MOUNT_FLAG_VOLATILE;
    if (mount->kind == CW_MOUNT_BIND) known |= CW_MOUNT_FLAG_TOP_ONLY;
    if (mount->flags & ~known) return -EINVAL;
    const uint8_t *texts = record->payload + 24;
    size_t left = record->length - 24;
    mount->source = next_text(&texts, &left);
    mount->destination = next_text(&texts, &left);
    if (mount->destination == NULL || mount->destination[0] != '/') return -EINVAL;
    if (!is_source_of(mount->kind, mount->source)) return -EINVAL;
    if (mount->kind == CW_MOUNT_FILE) {
        mount->content = texts;
        mount->content_size = left;
        return mount->mode > 07777 ? -EINVAL : 0;
    }
    return left > 0 || mount->kind == CW_MOUNT_OVERLAY ? add_layers(texts, left, mount) : 0;
}

int cw_endpoint_decode(const uint8_t *data, size_t length, struct cw_endpoint *endpoint) {
    if (length != sizeof *endpoint) return -EINVAL;
    memcpy(endpoint, data, sizeof *endpoint);
    if (endpoint->version == 6) return 0;
    for (size_t i = 4; i < sizeof endpoint->address; i++)
        if (endpoint->address[i] != 0) return -EINVAL;
    return endpoint->version == 4 ? 0 : -EINVAL;
}

static int set_root_tmpfs(const struct record *record, struct cw_config *config) {
    if (record->length != 16 || config->root_tmpfs || u32_at(record->payload + 12) != 0)
        return -EINVAL;
    config->root_tmpfs = true;
    config->root_size = u64_at(record->payload);
    config->root_mode = u32_at(record->payload + 8);
    return 0;
}

static int add_cgroup(const struct record *record, struct cw_config *config) {
    if (record->length < 8 + 2) return -EINVAL;
    struct cw_group *group = &config->cgroups[config->cgroup_count++];
    group->flags = u32_at(record->payload);
    group->roles = u32_at(record->payload + 4);
    group->fd = -1;
    if (group->flags > 31 || group->roles > 511) return -EINVAL;
    const uint8_t *texts = record->payload + 8;
    size_t left = record->length - 8;
    group->path = next_text(&texts, &left);
    if (group->path == NULL || group->path[0] != '/') return -EINVAL;
    group->writes = (const char *)texts;
    for (; left > 0; group->write_count++) {
        const char *file = next_text(&texts, &left);
        // The file is one of the group's own.
        for (const char *c = file; c != NULL && *c != '\0'; c++)
            if (*c == '/') return -EINVAL;
        if (file == NULL || file[0] == '\0' || next_text(&texts, &left) == NULL) return -EINVAL;
    }
    return 0;
}

static int set_process(const struct record *record, struct cw_config *config) {
    if (record->length != 16) return -EINVAL;
    config->uid = u32_at(record->payload);
    config->gid = u32_at(record->payload + 4);
    config->umask = u32_at(record->payload + 8);
    config->process_flags = u32_at(record->payload + 12);
    if (config->process_flags & ~(uint32_t)15) return -EINVAL;
    // (uid_t)-1 means "leave as it is" to setresuid.
    if (config->uid == UINT32_MAX || config->gid == UINT32_MAX) return -EINVAL;
    return config->umask > 0777 ? -EINVAL : 0;
}

static int add_extra(const struct record *record, struct cw_config *config) {
    if (record->length != 4 || config->extra_count == CW_EXTRAS_MAX) return -EINVAL;
    uint32_t number = u32_at(record->payload);
    for (uint32_t i = 0; i < config->extra_count; i++)
        if (config->extras[i] == number) return -EINVAL;
    config->extras[config->extra_count++] = number;
    return number >= 3 && number <= CW_EXTRA_TARGET_MAX ? 0 : -EINVAL;
}

static int set_notify(const struct record *record, struct cw_config *config) {
    if (record->length != 8 || config->notify_flags != 0) return -EINVAL;
    config->notify_flags = u32_at(record->payload);
    config->notify_timeout_ms = u32_at(record->payload + 4);
    uint32_t known = CW_NOTIFY_NODE | CW_NOTIFY_EMULATE_ROOT;
    return config->notify_flags == 0 || config->notify_flags & ~known ? -EINVAL : 0;
}

static int set_join(const struct record *record, struct cw_config *config) {
    if (record->length != 16 || config->join.pid != 0) return -EINVAL;
    config->join.pid = u32_at(record->payload);
    config->join.parent = u32_at(record->payload + 4);
    config->join.start_time = u64_at(record->payload + 8);
    bool certain = config->join.parent != 0 || config->join.start_time != 0;
    return config->join.pid > 0 && config->join.pid <= INT32_MAX && certain ? 0 : -EINVAL;
}

static int decode(const struct record *r, struct cw_config *c) {
    switch (r->type) {
    case CW_RECORD_NAMESPACES:
        if (r->length != 4) return -EINVAL;
        c->namespaces = u32_at(r->payload);
        return 0;
    case CW_RECORD_ID_MAP_KIND:
        if (r->length != 4) return -EINVAL;
        c->id_map_kind = u32_at(r->payload);
        return c->id_map_kind > CW_ID_MAP_SINGLE ? -EINVAL : 0;
    case CW_RECORD_UID_RANGE:
        return add_range(r, &c->uids);
    case CW_RECORD_GID_RANGE:
        return add_range(r, &c->gids);
    case CW_RECORD_NEWUIDMAP:
        return one_text(r, &c->newuidmap);
    case CW_RECORD_NEWGIDMAP:
        return one_text(r, &c->newgidmap);
    case CW_RECORD_HOSTNAME:
        return one_text(r, &c->hostname);
    case CW_RECORD_ROOT:
        return one_text(r, &c->root);
    case CW_RECORD_ROOT_TMPFS:
        return set_root_tmpfs(r, c);
    case CW_RECORD_OVERLAY_LOWER:
        return add_text(r, &c->lower);
    case CW_RECORD_OVERLAY_UPPER:
        return one_text(r, &c->upper);
    case CW_RECORD_OVERLAY_WORK:
        return one_text(r, &c->work);
    case CW_RECORD_MOUNT:
        return add_mount(r, c);
    case CW_RECORD_MASKED:
        return add_text(r, &c->masked);
    case CW_RECORD_READONLY:
        return add_text(r, &c->readonly);
    case CW_RECORD_ARGUMENT:
        return add_text(r, &c->arguments);
    case CW_RECORD_ENVIRONMENT:
        return add_text(r, &c->environment);
    case CW_RECORD_CWD:
        return one_text(r, &c->cwd);
    case CW_RECORD_PROCESS:
        return set_process(r, c);
    case CW_RECORD_GROUPS:
        if (r->length % 4 != 0 || c->groups != NULL) return -EINVAL;
        c->groups = (const uint32_t *)(const void *)r->payload;
        c->group_count = r->length / 4;
        return 0;
    case CW_RECORD_TERMINAL:
        if (r->length != 4 || c->terminal) return -EINVAL;
        c->terminal = true;
        c->columns = (uint16_t)u32_at(r->payload);
        c->rows = (uint16_t)(u32_at(r->payload) >> 16);
        return 0;
    case CW_RECORD_CAPABILITIES:
        if (r->length != 8) return -EINVAL;
        c->capabilities = u64_at(r->payload);
        return 0;
    case CW_RECORD_SECCOMP:
        if (r->length % 8 != 0 || r->length == 0 || r->length / 8 > 4096 || c->seccomp != NULL)
            return -EINVAL;
        c->seccomp = r->payload;
        c->seccomp_count = r->length / 8;
        return 0;
    case CW_RECORD_NOTIFY:
        return set_notify(r, c);
    case CW_RECORD_LOG_PATH:
        return one_text(r, &c->log_path);
    case CW_RECORD_EXIT_PATH:
        return one_text(r, &c->exit_path);
    case CW_RECORD_REMOVE:
        return add_text(r, &c->removals);
    case CW_RECORD_JOIN_NAMESPACE:
    case CW_RECORD_TIME_OFFSET:
    case CW_RECORD_RLIMIT:
    case CW_RECORD_SETTING:
    case CW_RECORD_TEXT:
    case CW_RECORD_LANDLOCK:
        return cw_privilege_decode(r->type, r->payload, r->length, &c->privilege);
    case CW_RECORD_CHANNEL:
        c->channel = true;
        return r->length == 0 ? 0 : -EINVAL;
    case CW_RECORD_UPLINK:
        return add_text(r, &c->uplink);
    case CW_RECORD_LISTEN:
        return cw_endpoint_decode(r->payload, r->length, &c->listeners[c->listener_count++]);
    case CW_RECORD_ATTACH_PATH:
        return one_text(r, &c->attach_path);
    case CW_RECORD_EXTRA:
        return add_extra(r, c);
    case CW_RECORD_JOIN:
        return set_join(r, c);
    case CW_RECORD_CGROUP:
        return add_cgroup(r, c);
    case CW_RECORD_LIMITS:
        if (r->length != sizeof c->limits) return -EINVAL;
        memcpy(&c->limits, r->payload, sizeof c->limits);
        return 0;
    default:
        return r->flags & CW_FLAG_MUST_UNDERSTAND ? -EOPNOTSUPP : 0;
    }
}

static bool take_strings(struct arena *arena, struct cw_strings *strings, uint32_t count) {
    strings->items = take(arena, ((size_t)count + 1) * sizeof *strings->items);
    return strings->items != NULL;
}

// Room for everything that repeats, counted by record type.
static bool take_lists(struct arena *arena, struct cw_config *c, const uint32_t *counts) {
    c->uids.ranges = take(arena, counts[CW_RECORD_UID_RANGE] * sizeof *c->uids.ranges);
    c->gids.ranges = take(arena, counts[CW_RECORD_GID_RANGE] * sizeof *c->gids.ranges);
    c->mounts = take(arena, counts[CW_RECORD_MOUNT] * sizeof *c->mounts);
    struct cw_landlock *landlock = &c->privilege.landlock;
    landlock->rules = take(arena, counts[CW_RECORD_LANDLOCK] * sizeof *landlock->rules);
    if (landlock->rules == NULL) return false;
    c->listeners = take(arena, counts[CW_RECORD_LISTEN] * sizeof *c->listeners);
    c->extras = take(arena, counts[CW_RECORD_EXTRA] * sizeof *c->extras);
    c->cgroups = take(arena, counts[CW_RECORD_CGROUP] * sizeof *c->cgroups);
    return c->extras != NULL && c->uids.ranges != NULL && c->gids.ranges != NULL &&
           c->mounts != NULL &&
           c->listeners != NULL && c->cgroups != NULL &&
           take_strings(arena, &c->lower, counts[CW_RECORD_OVERLAY_LOWER]) &&
           take_strings(arena, &c->masked, counts[CW_RECORD_MASKED]) &&
           take_strings(arena, &c->readonly, counts[CW_RECORD_READONLY]) &&
           take_strings(arena, &c->arguments, counts[CW_RECORD_ARGUMENT]) &&
           take_strings(arena, &c->environment, counts[CW_RECORD_ENVIRONMENT]) &&
           take_strings(arena, &c->uplink, counts[CW_RECORD_UPLINK]) &&
           take_strings(arena, &c->removals, counts[CW_RECORD_REMOVE]);
}

static bool is_absolute(const char *path) { return path == NULL || path[0] == '/'; }

static bool all_absolute(const struct cw_strings *paths) {
    for (uint32_t i = 0; i < paths->count; i++)
        if (!is_absolute(paths->items[i])) return false;
    return true;
}

bool cw_has_network(const struct cw_config *c) {
    return (c->namespaces | c->privilege.joined) & CLONE_NEWNET;
}

// What would otherwise be done to the caller's own namespaces.
static bool has_its_namespaces(const struct cw_config *c) {
    uint32_t known = CLONE_NEWUSER | CLONE_NEWNS | CLONE_NEWPID | CLONE_NEWNET | CLONE_NEWIPC |
                     CLONE_NEWUTS | CLONE_NEWCGROUP | CLONE_NEWTIME;
    const struct cw_privilege *p = &c->privilege;
    bool userns_limit = cw_is_set(p, CW_SETTING_MAX_USER_NAMESPACES);
    bool mounts = c->root != NULL || c->root_tmpfs || c->mount_count > 0 || c->masked.count > 0 ||
                  c->readonly.count > 0;
    bool maps = c->uids.count > 0 && c->gids.count > 0;
    return (c->namespaces & ~known) == 0 && (!mounts || c->namespaces & CLONE_NEWNS) &&
           (c->hostname == NULL || c->namespaces & CLONE_NEWUTS) &&
           (c->listener_count == 0 || cw_has_network(c)) &&
           (c->uplink.count == 0 || c->namespaces & CLONE_NEWNET) &&
           (c->namespaces == 0 || c->join.pid == 0) &&
           (p->domainname == NULL || c->namespaces & CLONE_NEWUTS) &&
           (p->offset_count == 0 || c->namespaces & CLONE_NEWTIME) &&
           (!userns_limit || c->namespaces & CLONE_NEWUSER) &&
           (p->joined & ~known) == 0 && (p->joined & c->namespaces) == 0 &&
           maps == ((c->namespaces & CLONE_NEWUSER) != 0);
}

static bool is_complete(const struct cw_config *c, const uint32_t *counts) {
    bool overlay = c->lower.count > 0;
    return counts[CW_RECORD_PROCESS] == 1 && counts[CW_RECORD_NAMESPACES] == 1 &&
           counts[CW_RECORD_CAPABILITIES] == 1 && counts[CW_RECORD_ID_MAP_KIND] <= 1 &&
           c->arguments.count > 0 && c->cwd != NULL && has_its_namespaces(c) &&
           (!c->privilege.landlock.wanted || c->process_flags & CW_PROCESS_NO_NEW_PRIVILEGES) &&
           (c->privilege.landlock.wanted || c->privilege.landlock.rule_count == 0) &&
           c->uids.count <= CW_ID_RANGES_MAX && c->gids.count <= CW_ID_RANGES_MAX &&
           overlay == (c->upper != NULL) && overlay == (c->work != NULL) &&
           !(overlay && c->root == NULL) && !(c->root_tmpfs && c->root != NULL) &&
           (c->listener_count == 0 || c->channel) && is_absolute(c->cwd) && is_absolute(c->root) &&
           is_absolute(c->upper) && is_absolute(c->work) && is_absolute(c->newuidmap) &&
           is_absolute(c->newgidmap) && is_absolute(c->log_path) && is_absolute(c->exit_path) &&
           is_absolute(c->attach_path) && is_absolute(c->uplink.items[0]) &&
           all_absolute(&c->lower) && all_absolute(&c->masked) && all_absolute(&c->readonly) &&
           all_absolute(&c->removals);
}

int cw_config_decode(uint8_t *data, size_t length, void *memory, size_t memory_size,
                     struct cw_config *config) {
    uint32_t counts[CW_CONFIG_RECORDS] = {0};
    struct record record;
    int more;

    memset(config, 0, sizeof *config);
    uint8_t *at = data;
    size_t left = length;
    while ((more = next_record(&at, &left, &record)) > 0)
        if (record.type < CW_CONFIG_RECORDS) counts[record.type]++;
    if (more < 0) return more;

    struct arena arena = {.at = memory, .left = memory_size};
    if (!take_lists(&arena, config, counts)) return -EINVAL;
    at = data;
    left = length;
    while (next_record(&at, &left, &record) > 0) {
        int error = decode(&record, config);
        if (error < 0) return error;
    }
    return is_complete(config, counts) ? 0 : -EINVAL;
}
