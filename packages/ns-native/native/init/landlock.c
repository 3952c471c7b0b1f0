// SPDX-License-Identifier: MIT
#include "landlock.h"

#include "sys.h"

// linux/landlock.h of the build machine may be older than the kernel of the other.
#define CW_CREATE_RULESET_VERSION 1
#define CW_RULE_PATH_BENEATH 1
#define CW_RULE_NET_PORT 2
// Rights that a file can have: execute, write, read, truncate, ioctl. The others are a directory's.
#define CW_FILE_RIGHTS (1ULL << 0 | 1ULL << 1 | 1ULL << 2 | 1ULL << 14 | 1ULL << 15)
// Without this right in a ruleset the kernel refuses what it stands for.
#define CW_RIGHT_REFER (1ULL << 13)

struct path_beneath {
    uint64_t access;
    int32_t directory;
} __attribute__((packed));

struct net_port {
    uint64_t access;
    uint64_t port;
};

// What each ABI can restrict; what a later one adds is not asked for. src/landlock-rights.ts names
// the bits, a test holds the two together.
static const struct cw_landlock_rights by_abi[] = {
    {0, 0, 0},
    {0x1fff, 0, 0}, // Linux 5.13
    {0x3fff, 0, 0}, // 5.19: refer
    {0x7fff, 0, 0}, // 6.2: truncate
    {0x7fff, 3, 0}, // 6.7: bind and connect of TCP
    {0xffff, 3, 0}, // 6.10: ioctl of devices
    {0xffff, 3, 3}, // 6.12: abstract sockets, signals
};

#define CW_ABI_LAST (sizeof by_abi / sizeof *by_abi - 1)

static int tell_missing(long abi, const struct cw_landlock_rights *missing,
                        struct cw_fault *fault) {
    uint64_t numbers[] = {(uint64_t)abi, missing->fs, missing->net, missing->scope};
    struct cw_text detail = CW_TEXT(fault->detail);
    for (unsigned i = 0; i < 4; i++) {
        if (i > 0) cw_text_add(&detail, " ");
        cw_text_add_number(&detail, numbers[i], 1);
    }
    return cw_fail(fault, "landlock_create_ruleset", -EOPNOTSUPP);
}

// The ABI, and what it can restrict. ENOSYS: not built in, or hidden by a filter; EOPNOTSUPP: turned
// off at boot.
static long known_rights(const struct cw_landlock_rights **known) {
    long abi = sys_landlock_create_ruleset(NULL, 0, CW_CREATE_RULESET_VERSION);
    if (abi == -ENOSYS || abi == -EOPNOTSUPP) abi = 0;
    if (abi >= 0) *known = &by_abi[(unsigned long)abi > CW_ABI_LAST ? CW_ABI_LAST : (unsigned long)abi];
    return abi;
}

// What is to be restricted and can be; an error when some of it cannot and is not dispensable.
static int choose(const struct cw_landlock *landlock, struct cw_landlock_rights *chosen,
                  struct cw_fault *fault) {
    const struct cw_landlock_rights *known;
    long abi = CW_TRY(fault, "landlock_create_ruleset", known_rights(&known));
    *chosen = (struct cw_landlock_rights){landlock->handled.fs & known->fs,
                                          landlock->handled.net & known->net,
                                          landlock->handled.scope & known->scope};
    uint64_t spared = landlock->dispensable.fs | (abi > 0 ? CW_RIGHT_REFER : 0);
    struct cw_landlock_rights missing = {
        landlock->handled.fs & ~known->fs & ~spared,
        landlock->handled.net & ~known->net & ~landlock->dispensable.net,
        landlock->handled.scope & ~known->scope & ~landlock->dispensable.scope,
    };
    if ((missing.fs | missing.net | missing.scope) != 0) return tell_missing(abi, &missing, fault);
    return 0;
}

int cw_landlock_open(uint64_t *rights) {
    const struct cw_landlock_rights *known;
    long abi = known_rights(&known);
    if (abi < 2) return abi < 0 ? (int)abi : -EOPNOTSUPP;
    struct cw_landlock_rights files = {.fs = known->fs};
    *rights = files.fs;
    return (int)sys_landlock_create_ruleset(&files, sizeof files, 0);
}

int cw_landlock_allow(int ruleset, int directory, uint64_t rights) {
    struct path_beneath beneath = {.access = rights, .directory = directory};
    return (int)sys_landlock_add_rule(ruleset, CW_RULE_PATH_BENEATH, &beneath);
}

int cw_landlock_close_in(int ruleset) { return (int)sys_landlock_restrict_self(ruleset); }

static int add_path(int ruleset, const struct cw_landlock_rule *rule, uint64_t handled,
                    struct cw_fault *fault) {
    struct statx status;
    struct path_beneath beneath = {.access = rule->access & handled};
    CW_AUTO_FD fd = (int)sys_openat(AT_FDCWD, rule->path, O_PATH | O_CLOEXEC, 0);
    if ((fd == -ENOENT || fd == -ENOTDIR) && rule->flags & CW_LANDLOCK_MAY_BE_MISSING) return 0;
    if (fd < 0) return cw_fail(fault, "open", fd);
    CW_TRY(fault, "statx", sys_statx(fd, "", AT_EMPTY_PATH, &status));
    if ((status.stx_mode & S_IFMT) != S_IFDIR) beneath.access &= CW_FILE_RIGHTS;
    if (beneath.access == 0) return 0; // nothing that this kernel would restrict
    beneath.directory = fd;
    CW_TRY(fault, "landlock_add_rule",
           sys_landlock_add_rule(ruleset, CW_RULE_PATH_BENEATH, &beneath));
    return 0;
}

static int add_port(int ruleset, const struct cw_landlock_rule *rule, uint64_t handled,
                    struct cw_fault *fault) {
    struct net_port port = {.access = rule->access & handled, .port = rule->port};
    if (port.access == 0) return 0;
    CW_TRY(fault, "landlock_add_rule", sys_landlock_add_rule(ruleset, CW_RULE_NET_PORT, &port));
    return 0;
}

int cw_landlock_restrict(const struct cw_landlock *landlock, struct cw_fault *fault) {
    struct cw_landlock_rights chosen;
    if (!landlock->wanted) return 0;
    cw_at(fault, CW_STEP_LANDLOCK, CW_NO_INDEX);
    int error = choose(landlock, &chosen, fault);
    if (error < 0) return error;
    if ((chosen.fs | chosen.net | chosen.scope) == 0) return 0; // all dispensed with
    // An older kernel takes a longer structure as long as what it does not know is zero.
    CW_AUTO_FD ruleset = (int)CW_TRY(fault, "landlock_create_ruleset",
                                     sys_landlock_create_ruleset(&chosen, sizeof chosen, 0));
    for (uint32_t i = 0; i < landlock->rule_count; i++) {
        const struct cw_landlock_rule *rule = &landlock->rules[i];
        cw_at(fault, CW_STEP_LANDLOCK, i);
        error = rule->kind == CW_LANDLOCK_PATH ? add_path(ruleset, rule, chosen.fs, fault)
                                               : add_port(ruleset, rule, chosen.net, fault);
        if (error < 0) return error;
    }
    cw_at(fault, CW_STEP_LANDLOCK, CW_NO_INDEX);
    CW_TRY(fault, "landlock_restrict_self", sys_landlock_restrict_self(ruleset));
    return 0;
}
