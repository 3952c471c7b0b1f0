// SPDX-License-Identifier: MIT
#include "emulate-root.h"

#include "identity.h"
#include "procfs.h"
#include "sys.h"

#include <linux/audit.h>

#if defined(__x86_64__)
#define CW_ARCH AUDIT_ARCH_X86_64
#else
#define CW_ARCH AUDIT_ARCH_AARCH64
#endif

#define CW_GROUPS_MAX 64
#define CW_NO_ID 0xffffffffu
// Different credentials that may have been seen; whoever wants more gets ENOMEM.
#define CW_CREDENTIALS_MAX 1024

// Which credentials a process has is written on the process itself, in a place that the kernel
// hands on with fork and exec as it does with real ones: the soft limit RLIMIT_LOCKS, which has had
// no meaning since Linux 2.4.25. Anything else there stands for the initial ones. A table by pid
// would have to guess what a process was given by a parent that has changed or ended since.
#define CW_CARRIER 10 /* RLIMIT_LOCKS */
#define CW_CARRIED 0x43570000u

struct ids {
    uint32_t real;
    uint32_t effective;
    uint32_t saved;
    uint32_t filesystem;
};

struct cw_credentials {
    uint32_t keeps_capabilities; // PR_SET_KEEPCAPS
    uint32_t kept_capabilities;  // when it left root behind
    struct ids uid;
    struct ids gid;
    uint32_t group_count;
    uint32_t groups[CW_GROUPS_MAX];
};

// One call under emulation.
struct call {
    struct cw_emulation *emulation;
    int listener;
    const struct seccomp_notif *notif;
    struct cw_credentials own; // the caller's, to be changed
    int64_t value;
};

static bool is_same(const struct cw_credentials *a, const struct cw_credentials *b) {
    return memcmp(a, b, offsetof(struct cw_credentials, groups)) == 0 &&
           memcmp(a->groups, b->groups, a->group_count * sizeof a->groups[0]) == 0;
}

static uint32_t arg(const struct call *call, unsigned index) {
    return (uint32_t)call->notif->data.args[index];
}

// The process that asked is still the one that waits, and not another with its number.
static bool still_waits(const struct call *call) {
    return sys_ioctl(call->listener, SECCOMP_IOCTL_NOTIF_ID_VALID, &call->notif->id) == 0;
}

static int load(struct call *call) {
    struct rlimit64 limit;
    const struct cw_emulation *emulation = call->emulation;
    long error = sys_prlimit((int)call->notif->pid, CW_CARRIER, NULL, &limit);
    if (error < 0) return (int)error;
    uint64_t index = limit.rlim_cur - CW_CARRIED;
    call->own = emulation->credentials[index < emulation->count ? index : 0];
    return 0;
}

static int find_or_add(struct cw_emulation *emulation, const struct cw_credentials *wanted) {
    for (uint32_t i = emulation->count; i-- > 0;)
        if (is_same(&emulation->credentials[i], wanted)) return (int)i;
    if (emulation->count == CW_CREDENTIALS_MAX) return -ENOMEM;
    emulation->credentials[emulation->count] = *wanted;
    return (int)emulation->count++;
}

static int store(struct call *call) {
    struct rlimit64 limit;
    int pid = (int)call->notif->pid;
    int index = find_or_add(call->emulation, &call->own);
    if (index < 0) return index;
    long error = sys_prlimit(pid, CW_CARRIER, NULL, &limit);
    if (error < 0) return (int)error;
    if (!still_waits(call)) return -ESRCH;
    limit.rlim_cur = CW_CARRIED + (uint32_t)index;
    return (int)sys_prlimit(pid, CW_CARRIER, &limit, NULL);
}

// The caller's memory, by a descriptor that was opened before the caller was seen to be still there:
// a number that is given away afterwards leads nowhere else.
static int open_memory(const struct call *call) {
    int pid = (int)call->notif->pid;
    int memory = cw_proc_open_of(call->emulation->proc, pid, "mem", O_RDWR | O_CLOEXEC);
    if (memory >= 0 && !still_waits(call)) {
        sys_close(memory);
        return -ESRCH;
    }
    return memory;
}

static int put(int memory, uint64_t address, const void *data, size_t size) {
    return sys_pwrite(memory, data, size, address) == (long)size ? 0 : -EFAULT;
}

static int put_ids(const struct call *call, const struct ids *ids) {
    CW_AUTO_FD memory = open_memory(call);
    if (memory < 0) return -EFAULT;
    const __u64 *to = call->notif->data.args;
    int error = put(memory, to[0], &ids->real, sizeof ids->real);
    if (error == 0) error = put(memory, to[1], &ids->effective, sizeof ids->effective);
    return error < 0 ? error : put(memory, to[2], &ids->saved, sizeof ids->saved);
}

static int get_groups(struct call *call) {
    int room = (int)arg(call, 0);
    uint32_t count = call->own.group_count;
    call->value = count;
    if (room < 0) return -EINVAL;
    if (room == 0) return 0;
    if ((uint32_t)room < count) return -EINVAL;
    CW_AUTO_FD memory = open_memory(call);
    if (memory < 0) return -EFAULT;
    size_t size = count * sizeof call->own.groups[0];
    return put(memory, call->notif->data.args[1], call->own.groups, size);
}

// Capabilities are the real ones: who has kept them may have given some up by capset(2).
static bool really_has(const struct call *call, unsigned capability) {
    char text[4096];
    static const char name[] = "\nCapEff:\t";
    long size = cw_proc_read(call->emulation->proc, (int)call->notif->pid, "status", text, sizeof text);
    for (long i = 0; i + (long)sizeof name + 16 <= size; i++) {
        if (memcmp(text + i, name, sizeof name - 1) != 0) continue;
        char digit = text[i + (long)sizeof name - 1 + 15 - capability / 4];
        unsigned value = (unsigned)(digit >= 'a' ? digit - 'a' + 10 : digit - '0');
        return value >> capability % 4 & 1;
    }
    return false;
}

static bool may_change(const struct call *call, unsigned capability) {
    if (call->own.uid.effective == 0) return true;
    return call->own.kept_capabilities && really_has(call, capability);
}

static bool may_change_ids(const struct call *call, const struct ids *ids) {
    return may_change(call, ids == &call->own.uid ? CAP_SETUID : CAP_SETGID);
}

static bool has_root(const struct ids *ids) {
    return ids->real == 0 || ids->effective == 0 || ids->saved == 0;
}

// capabilities(7): what a change of user ids does to them.
static int store_ids(struct call *call, const struct ids *changed, bool had_root) {
    struct cw_credentials *own = &call->own;
    if (changed == &own->uid && had_root && !has_root(changed))
        own->kept_capabilities = own->keeps_capabilities;
    if (has_root(&own->uid)) own->kept_capabilities = 0;
    return store(call);
}

// PR_SET_KEEPCAPS, PR_GET_KEEPCAPS: of no meaning to the kernel here, as no real id ever changes.
static int keep_capabilities(struct call *call) {
    uint64_t value = call->notif->data.args[1];
    if (arg(call, 0) == PR_GET_KEEPCAPS) {
        call->value = call->own.keeps_capabilities;
        return 0;
    }
    if (value > 1) return -EINVAL;
    call->own.keeps_capabilities = (uint32_t)value;
    return store(call);
}

// Read once and acted upon here, whatever becomes of it in the caller's memory afterwards.
static int set_groups(struct call *call) {
    uint32_t count = arg(call, 0);
    if (!may_change(call, CAP_SETGID)) return -EPERM;
    if (count > CW_GROUPS_MAX) return count > 65536 ? -EINVAL : -ENOMEM;
    CW_AUTO_FD memory = open_memory(call);
    if (memory < 0) return -EFAULT;
    long size = (long)(count * sizeof call->own.groups[0]);
    if (size > 0 && sys_pread(memory, call->own.groups, (size_t)size, call->notif->data.args[1]) != size)
        return -EFAULT;
    call->own.group_count = count;
    return store(call);
}

// The rules of setuid(2) and its kin; they are the same for users and groups.
static int set_id(struct call *call, struct ids *ids) {
    uint32_t id = arg(call, 0);
    bool had_root = has_root(ids);
    if (id == CW_NO_ID) return -EINVAL;
    if (may_change_ids(call, ids))
        ids->real = ids->saved = id;
    else if (id != ids->real && id != ids->saved)
        return -EPERM;
    ids->effective = ids->filesystem = id;
    return store_ids(call, ids, had_root);
}

static bool is_one_of(const struct ids *ids, uint32_t id) {
    return id == ids->real || id == ids->effective || id == ids->saved;
}

static int set_real_and_effective(struct call *call, struct ids *ids) {
    struct ids old = *ids;
    uint32_t real = arg(call, 0);
    uint32_t effective = arg(call, 1);
    bool root = may_change_ids(call, ids);
    if (real != CW_NO_ID && real != old.real && real != old.effective && !root) return -EPERM;
    if (effective != CW_NO_ID && !is_one_of(&old, effective) && !root) return -EPERM;
    if (real != CW_NO_ID) ids->real = real;
    if (effective != CW_NO_ID) ids->effective = effective;
    if (real != CW_NO_ID || (effective != CW_NO_ID && effective != old.real))
        ids->saved = ids->effective;
    ids->filesystem = ids->effective;
    return store_ids(call, ids, has_root(&old));
}

static int set_all(struct call *call, struct ids *ids) {
    uint32_t *to[] = {&ids->real, &ids->effective, &ids->saved};
    struct ids old = *ids;
    bool root = may_change_ids(call, ids);
    for (unsigned i = 0; i < 3; i++) {
        uint32_t id = arg(call, i);
        if (id == CW_NO_ID) continue;
        if (!root && !is_one_of(&old, id)) return -EPERM;
        *to[i] = id;
    }
    ids->filesystem = ids->effective;
    return store_ids(call, ids, has_root(&old));
}

// Never fails: the answer is the id that was.
static int set_filesystem(struct call *call, struct ids *ids) {
    uint32_t id = arg(call, 0);
    call->value = ids->filesystem;
    if (id == CW_NO_ID || id == ids->filesystem) return 0;
    if (!may_change_ids(call, ids) && !is_one_of(ids, id)) return 0;
    ids->filesystem = id;
    return store(call);
}

static int get_id(struct call *call, uint32_t id) {
    call->value = id;
    return 0;
}

// -errno of the call, or 1 for one that is not emulated.
static int emulate(struct call *call) {
    struct ids *uid = &call->own.uid;
    struct ids *gid = &call->own.gid;
    switch (call->notif->data.nr) {
    case __NR_getuid: return get_id(call, uid->real);
    case __NR_geteuid: return get_id(call, uid->effective);
    case __NR_getgid: return get_id(call, gid->real);
    case __NR_getegid: return get_id(call, gid->effective);
    case __NR_getresuid: return put_ids(call, uid);
    case __NR_getresgid: return put_ids(call, gid);
    case __NR_getgroups: return get_groups(call);
    case __NR_setgroups: return set_groups(call);
    case __NR_setuid: return set_id(call, uid);
    case __NR_setgid: return set_id(call, gid);
    case __NR_setreuid: return set_real_and_effective(call, uid);
    case __NR_setregid: return set_real_and_effective(call, gid);
    case __NR_setresuid: return set_all(call, uid);
    case __NR_setresgid: return set_all(call, gid);
    case __NR_setfsuid: return set_filesystem(call, uid);
    case __NR_setfsgid: return set_filesystem(call, gid);
    case __NR_prctl: return keep_capabilities(call);
    default: return 1;
    }
}

int cw_emulation_open(struct cw_emulation *emulation, const struct cw_config *config,
                      struct cw_fault *fault) {
    emulation->proc = cw_proc_open(fault);
    if (emulation->proc < 0) return emulation->proc;
    long memory = sys_map(CW_CREDENTIALS_MAX * sizeof *emulation->credentials);
    if (memory < 0 && memory > -4096) return (int)memory;
    emulation->credentials = (void *)memory;
    struct cw_credentials *initial = &emulation->credentials[0];
    initial->uid = (struct ids){config->uid, config->uid, config->uid, config->uid};
    initial->gid = (struct ids){config->gid, config->gid, config->gid, config->gid};
    initial->group_count = config->group_count < CW_GROUPS_MAX ? config->group_count : CW_GROUPS_MAX;
    if (initial->group_count > 0)
        memcpy(initial->groups, config->groups, initial->group_count * sizeof initial->groups[0]);
    emulation->count = 1;
    return 0;
}

bool cw_emulate_root(struct cw_emulation *emulation, int listener,
                     const struct seccomp_notif *notif, struct seccomp_notif_resp *response) {
    struct call call = {.emulation = emulation, .listener = listener, .notif = notif};
    if (notif->data.arch != CW_ARCH) return false;
    int error = load(&call);
    if (error == 0) error = emulate(&call);
    if (error > 0) return false;
    // Never "go on" (SECCOMP_USER_NOTIF_FLAG_CONTINUE): the kernel would do it with one id.
    if (error < 0)
        response->error = error;
    else
        response->val = call.value;
    return true;
}
