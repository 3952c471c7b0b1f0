// SPDX-License-Identifier: MIT
#include "payload.h"

#include "caps.h"
#include "descriptors.h"
#include "extras.h"
#include "filter.h"
#include "label.h"
#include "landlock.h"
#include "resources.h"
#include "limits.h"
#include "sys.h"

#define CW_PATH_MAX 4096
#define CW_DEFAULT_PATH "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"

static int own_session(int slave, struct cw_fault *fault) {
    cw_at(fault, CW_STEP_SESSION, CW_NO_INDEX);
    CW_TRY(fault, "setsid", sys_setsid());
    if (slave < 0) return 0;
    cw_at(fault, CW_STEP_CTTY, CW_NO_INDEX);
    CW_TRY(fault, "ioctl", sys_ioctl(slave, TIOCSCTTY, NULL));
    return 0;
}

// Pipes made for this container belong to root inside; whoever runs must be able to open
// /dev/stdout. Terminals and files of the caller are left alone. And stdio blocks, as programs
// expect: Node and others set O_NONBLOCK on descriptions they share with us.
static void prepare_stdio(const struct cw_config *config) {
    for (int fd = 0; fd < 3; fd++) {
        struct statfs status;
        cw_set_nonblocking(fd, 0);
        if (config->uid != 0 && sys_fstatfs(fd, &status) == 0 &&
            (unsigned long)status.f_type == CW_PIPEFS_MAGIC)
            sys_fchown(fd, config->uid, (unsigned)-1);
    }
}

#define CW_GROUPS_MAX 64

// Somebody without CAP_SETGID has the wanted groups, or cannot get them.
static bool has_the_groups(const struct cw_config *config) {
    uint32_t groups[CW_GROUPS_MAX];
    long count = sys_getgroups(CW_GROUPS_MAX, groups);
    if (count < 0) return false;
    for (long i = 0; i < count; i++) {
        bool wanted = groups[i] == config->gid; // being in it twice changes nothing
        for (uint32_t j = 0; j < config->group_count; j++)
            wanted = wanted || groups[i] == config->groups[j];
        if (!wanted) return false;
    }
    for (uint32_t j = 0; j < config->group_count; j++) {
        bool had = config->groups[j] == config->gid;
        for (long i = 0; i < count; i++) had = had || groups[i] == config->groups[j];
        if (!had) return false;
    }
    return true;
}

static int set_groups(const struct cw_config *config, struct cw_fault *fault) {
    uint32_t involved = config->namespaces | config->privilege.joined;
    long error = sys_setgroups(config->group_count, config->groups);
    if (error != -EPERM) return error < 0 ? cw_fail(fault, "setgroups", error) : 0;
    // With one id only, setgroups is denied for good (CVE-2014-8989) and groups stay unmapped.
    if (involved & CLONE_NEWUSER && config->group_count == 0) return 0;
    return has_the_groups(config) ? 0 : cw_fail(fault, "setgroups", error);
}

static int become_user(const struct cw_config *config, struct cw_fault *fault) {
    cw_at(fault, CW_STEP_SETGROUPS, CW_NO_INDEX);
    // Not even tried with a single id: a filter may be in force that kills for it.
    bool denied = config->namespaces & CLONE_NEWUSER && config->id_map_kind == CW_ID_MAP_SINGLE;
    bool played = config->notify_flags & CW_NOTIFY_EMULATE_ROOT;
    if (!played && (!denied || config->group_count > 0)) {
        int error = set_groups(config, fault);
        if (error < 0) return error;
    }
    cw_at(fault, CW_STEP_SETID_FINAL, CW_NO_INDEX);
    // Ambient capabilities are chosen from the permitted ones, which a change from root empties.
    if (config->privilege.ambient != 0)
        CW_TRY(fault, "prctl", sys_prctl(PR_SET_KEEPCAPS, 1, 0));
    CW_TRY(fault, "setresgid", sys_setresgid(config->gid));
    CW_TRY(fault, "setresuid", sys_setresuid(config->uid));
    return 0;
}

// Resolved anew with the user's own rights; never through /proc/self/fd and its like, and inside
// the root for certain (CVE-2024-21626).
static int enter_cwd(const struct cw_config *config, struct cw_fault *fault) {
    char where[CW_PATH_MAX];
    cw_at(fault, CW_STEP_CWD, CW_NO_INDEX);
    CW_AUTO_FD directory = (int)CW_TRY(
        fault, "openat2",
        sys_openat2(AT_FDCWD, config->cwd, O_PATH | O_DIRECTORY | O_CLOEXEC,
                    RESOLVE_NO_MAGICLINKS));
    CW_TRY(fault, "fchdir", sys_fchdir(directory));
    CW_TRY(fault, "getcwd", sys_getcwd(where, sizeof where));
    return where[0] == '/' ? 0 : cw_fail(fault, "getcwd", -ENOENT);
}

static const char *search_path(const struct cw_config *config) {
    for (uint32_t i = 0; i < config->environment.count; i++)
        if (memcmp(config->environment.items[i], "PATH=", 5) == 0)
            return config->environment.items[i] + 5;
    return CW_DEFAULT_PATH;
}

// One execve; says in the fault which file it was.
static int try_exec(const struct cw_config *config, const char *file, struct cw_fault *fault) {
    long error = sys_execve(file, config->arguments.items, config->environment.items);
    struct cw_text detail = CW_TEXT(fault->detail);
    cw_text_add(&detail, file);
    // ENOENT for a file that is there: its interpreter or dynamic loader is not.
    bool exists = error == -ENOENT && sys_faccessat(AT_FDCWD, file, 0) == 0;
    cw_at(fault, CW_STEP_EXEC, exists ? CW_EXEC_INTERPRETER_MISSING : CW_NO_INDEX);
    return cw_fail(fault, "execve", error);
}

// As execvp(3) searches, but a file of unknown format is an error and not a shell script.
static int search_and_exec(const struct cw_config *config, struct cw_fault *fault) {
    char file[CW_PATH_MAX];
    const char *name = config->arguments.items[0];
    const char *at = search_path(config);
    struct cw_fault best = *fault;
    best.error = 0;
    for (;;) {
        size_t size = 0;
        while (at[size] != '\0' && at[size] != ':') size++;
        struct cw_text text = CW_TEXT(file);
        file[0] = '\0';
        cw_text_add_bytes(&text, size > 0 ? at : ".", size > 0 ? size : 1);
        cw_text_add(&text, "/");
        cw_text_add(&text, name);
        if (!text.full) {
            int error = try_exec(config, file, fault);
            bool passing = (error == -ENOENT && fault->index == CW_NO_INDEX) ||
                           error == -ENOTDIR || error == -EACCES;
            if (!passing) return error;
            if (error == -EACCES && best.error == 0) best = *fault;
        }
        if (at[size] == '\0') break;
        at += size + 1;
    }
    if (best.error != 0) {
        *fault = best;
        return -best.error;
    }
    struct cw_text detail = CW_TEXT(fault->detail);
    cw_text_add(&detail, name);
    cw_at(fault, CW_STEP_EXEC, CW_NO_INDEX);
    return cw_fail(fault, "execve", -ENOENT);
}

static int exec_program(const struct cw_config *config, struct cw_fault *fault) {
    const char *name = config->arguments.items[0];
    cw_at(fault, CW_STEP_EXEC, CW_NO_INDEX);
    if (name[0] == '\0') return cw_fail(fault, "execve", -ENOENT);
    for (const char *c = name; *c != '\0'; c++)
        if (*c == '/') return try_exec(config, name, fault);
    return search_and_exec(config, fault);
}

int cw_payload_died(const struct cw_config *config, int status, struct cw_fault *fault) {
    int signal = status & 0x7f;
    bool filtered = config->seccomp != NULL && (signal == CW_SIGSYS || signal == CW_SIGILL);
    struct cw_text detail = CW_TEXT(fault->detail);
    cw_at(fault, filtered ? CW_STEP_SECCOMP : CW_STEP_EXEC, CW_EXEC_DIED);
    cw_text_add(&detail, "signal ");
    cw_text_add_number(&detail, (uint64_t)signal, 1);
    return cw_fail(fault, "execve", filtered ? -EPERM : -ECHILD);
}

static int set_capabilities(const struct cw_config *config, struct cw_fault *fault) {
    uint64_t ambient = config->privilege.ambient;
    cw_at(fault, CW_STEP_CAPS_SET, CW_NO_INDEX);
    return cw_caps_set(config->uid == 0 ? config->capabilities : ambient, ambient, fault);
}

// Without a pid namespace the parent's death does not end us by itself, nor does it when we have
// joined one; armed after the last change of credentials, which would have cleared it, and with a
// look whether it is too late.
static int tie_to_parent(const struct cw_config *config, int lifeline, struct cw_fault *fault) {
    struct pollfd poll = {.fd = lifeline};
    cw_at(fault, CW_STEP_SIGNALS, CW_NO_INDEX);
    if (config->namespaces & CLONE_NEWPID && config->join.pid == 0) return 0;
    CW_TRY(fault, "prctl", sys_prctl(PR_SET_PDEATHSIG, CW_SIGKILL, 0));
    return sys_poll(&poll, 1, 0) > 0 ? cw_fail(fault, "poll", -ESRCH) : 0; // hung up
}

int cw_payload(const struct cw_config *config, int slave, int proc, int lifeline, int socket,
               struct cw_fault *fault) {
    bool no_new_privileges = config->process_flags & CW_PROCESS_NO_NEW_PRIVILEGES;
    bool own_users = (config->namespaces | config->privilege.joined) & CLONE_NEWUSER;
    int extras[CW_EXTRAS_MAX];
    int error = own_session(slave, fault);
    if (error == 0) error = cw_extras_move(config, extras, fault);
    if (error == 0) error = cw_label_next_exec(config, proc, fault);
    if (error < 0) return error;
    prepare_stdio(config);
    error = cw_limits_of_program(config, fault);
    if (error < 0) return error;

    cw_at(fault, CW_STEP_CAPS_BOUNDING, CW_NO_INDEX);
    error = cw_caps_bound(config->capabilities, no_new_privileges && !own_users, fault);
    // Limits come late, for they may be narrow; but a filter that is already there may forbid them.
    if (error == 0 && !no_new_privileges) error = cw_resources_limit(config, fault);
    // Without no_new_privs the kernel wants CAP_SYS_ADMIN for a filter: only now do we have it.
    if (error == 0 && !no_new_privileges) error = cw_filter_install(config, socket, fault);
    if (error == 0) error = become_user(config, fault);
    if (error == 0) error = enter_cwd(config, fault);
    if (error < 0) return error;
    sys_umask(config->umask);
    error = set_capabilities(config, fault);
    if (error < 0) return error;
    cw_at(fault, CW_STEP_NNP, CW_NO_INDEX);
    // The memory is PID 1's, and changes of credentials have set this to what fs.suid_dumpable says.
    CW_TRY(fault, "prctl", sys_prctl(PR_SET_DUMPABLE, 0, 0));
    if (no_new_privileges) CW_TRY(fault, "prctl", sys_prctl(PR_SET_NO_NEW_PRIVS, 1, 0));

    error = tie_to_parent(config, lifeline, fault);
    if (error < 0) return error;
    CW_TRY(fault, "rt_sigprocmask", sys_sigmask(CW_SIG_SETMASK, 0));
    error = cw_landlock_restrict(&config->privilege.landlock, fault);
    if (error < 0) return error;
    cw_at(fault, CW_STEP_CLOSEFDS, CW_NO_INDEX);
    CW_TRY(fault, "close_range", sys_close_range(3, ~0U, CLOSE_RANGE_CLOEXEC));
    if ((error = cw_extras_place(config, extras, fault)) < 0) return error;
    if (no_new_privileges) error = cw_resources_limit(config, fault);
    if (error == 0 && no_new_privileges) error = cw_filter_install(config, socket, fault);
    return error < 0 ? error : exec_program(config, fault);
}
