// SPDX-License-Identifier: MIT
#include "privilege.h"

#include "numbers.h"
#include "text.h"

#include <linux/errno.h>

static const char *text_at(const uint8_t *payload, uint32_t length, uint32_t start) {
    const char *text = (const char *)payload + start;
    if (length < start + 2 || strlen(text) != length - start - 1) return NULL;
    return text;
}

static int add_join(const uint8_t *payload, uint32_t length, struct cw_privilege *p) {
    if (length < 4 || payload[length - 1] != '\0' || p->join_count == CW_JOINS_MAX) return -EINVAL;
    struct cw_namespace join = {.type = u32_at(payload), .path = text_at(payload, length, 4)};
    bool one = join.type != 0 && (join.type & (join.type - 1)) == 0;
    if (!one || p->joined & join.type || join.path == NULL || join.path[0] != '/') return -EINVAL;
    p->joined |= join.type;
    p->joins[p->join_count++] = join;
    return 0;
}

static int add_offset(const uint8_t *payload, uint32_t length, struct cw_privilege *p) {
    if (length != 16 || p->offset_count == CW_CLOCKS_MAX) return -EINVAL;
    p->offsets[p->offset_count++] = (struct cw_time_offset){
        .clock = u32_at(payload),
        .nanoseconds = u32_at(payload + 4),
        .seconds = (int64_t)u64_at(payload + 8),
    };
    return 0;
}

static int add_rlimit(const uint8_t *payload, uint32_t length, struct cw_privilege *p) {
    if (length != 24 || u32_at(payload + 4) != 0 || p->rlimit_count == CW_RLIMITS_MAX)
        return -EINVAL;
    p->rlimits[p->rlimit_count++] = (struct cw_rlimit){
        .resource = u32_at(payload),
        .soft = u64_at(payload + 8),
        .hard = u64_at(payload + 16),
    };
    return 0;
}

static int set_number(const uint8_t *payload, uint32_t length, struct cw_privilege *p) {
    if (length != 16 || u32_at(payload + 4) != 0) return -EINVAL;
    uint32_t setting = u32_at(payload);
    uint64_t value = u64_at(payload + 8);
    if (setting > CW_SETTING_LAST) return -EINVAL;
    if (cw_is_set(p, setting) && setting != CW_SETTING_CPU) return -EINVAL;
    p->settings |= 1U << setting;
    switch (setting) {
    case CW_SETTING_OOM_SCORE_ADJ:
        p->oom_score_adj = (int64_t)value;
        break;
    case CW_SETTING_NICE:
        p->nice = (int64_t)value;
        break;
    case CW_SETTING_IO_PRIORITY:
        p->io_priority = value;
        break;
    case CW_SETTING_CPU:
        if (value >= CW_CPUS_MAX) return -EINVAL;
        p->cpus[value / 64] |= 1ULL << value % 64;
        break;
    case CW_SETTING_MAX_USER_NAMESPACES:
        p->max_user_namespaces = value;
        break;
    case CW_SETTING_AMBIENT:
        p->ambient = value;
        break;
    default:
        break;
    }
    return 0;
}

static int set_text(const uint8_t *payload, uint32_t length, struct cw_privilege *p) {
    if (length < 4 || payload[length - 1] != '\0') return -EINVAL;
    const char *text = text_at(payload, length, 4);
    const char **place = NULL;
    if (u32_at(payload) == CW_TEXT_DOMAINNAME) place = &p->domainname;
    if (u32_at(payload) == CW_TEXT_APPARMOR) place = &p->apparmor;
    if (u32_at(payload) == CW_TEXT_SELINUX) place = &p->selinux;
    if (place == NULL || *place != NULL || text == NULL) return -EINVAL;
    *place = text;
    return 0;
}

static struct cw_landlock_rights rights_at(const uint8_t *payload) {
    return (struct cw_landlock_rights){u64_at(payload), u64_at(payload + 8), u64_at(payload + 16)};
}

static int add_landlock(const uint8_t *payload, uint32_t length, struct cw_landlock *landlock) {
    if (length < 8 + 16) return -EINVAL;
    struct cw_landlock_rule rule = {.kind = u32_at(payload), .flags = u32_at(payload + 4)};
    if (rule.kind == CW_LANDLOCK_HANDLED) {
        if (length != 8 + 48 || rule.flags != 0 || landlock->wanted) return -EINVAL;
        landlock->wanted = true;
        landlock->handled = rights_at(payload + 8);
        landlock->dispensable = rights_at(payload + 32);
        return 0;
    }
    rule.access = u64_at(payload + 8);
    rule.port = u64_at(payload + 16);
    if (rule.kind > CW_LANDLOCK_PORT || rule.flags & ~(uint32_t)CW_LANDLOCK_MAY_BE_MISSING)
        return -EINVAL;
    if (rule.kind == CW_LANDLOCK_PATH) {
        if (payload[length - 1] != '\0') return -EINVAL;
        rule.path = text_at(payload, length, 24);
        if (rule.path == NULL || rule.path[0] != '/') return -EINVAL;
    } else if (length != 24) {
        return -EINVAL;
    }
    landlock->rules[landlock->rule_count++] = rule;
    return 0;
}

int cw_privilege_decode(uint16_t type, uint8_t *payload, uint32_t length,
                        struct cw_privilege *privilege) {
    switch (type) {
    case CW_RECORD_JOIN_NAMESPACE:
        return add_join(payload, length, privilege);
    case CW_RECORD_TIME_OFFSET:
        return add_offset(payload, length, privilege);
    case CW_RECORD_RLIMIT:
        return add_rlimit(payload, length, privilege);
    case CW_RECORD_SETTING:
        return set_number(payload, length, privilege);
    case CW_RECORD_TEXT:
        return set_text(payload, length, privilege);
    default:
        return add_landlock(payload, length, &privilege->landlock);
    }
}
