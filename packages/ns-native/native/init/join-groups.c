// SPDX-License-Identifier: MIT
#include "join-groups.h"

#include "identity.h"
#include "procfs.h"
#include "sys.h"

#define CW_TEXT_SIZE 4096
#define CW_PATH_MAX 512

// The next line of a text, without its end; false after the last one.
static bool next_line(const char **at, char *line, size_t size) {
    size_t used = 0;
    if (**at == '\0') return false;
    for (; **at != '\0' && **at != '\n'; (*at)++)
        if (used + 1 < size) line[used++] = **at;
    line[used] = '\0';
    if (**at == '\n') (*at)++;
    return true;
}

static bool has_line(const char *text, const char *wanted) {
    char line[sizeof((struct cw_join_group *)0)->line];
    while (next_line(&text, line, sizeof line))
        if (cw_same(line, wanted)) return true;
    return false;
}

// hierarchy-ID:controller-list:cgroup-path, cgroups(7)
static const char *after_colon(const char *text) {
    while (*text != '\0' && *text != ':') text++;
    return *text == ':' ? text + 1 : text;
}

static int open_group(const char *top, const char *path) {
    char whole[CW_PATH_MAX];
    struct cw_text text = CW_TEXT(whole);
    cw_text_add(&text, top);
    cw_text_add(&text, path);
    return text.full ? -ENAMETOOLONG
                     : (int)sys_openat(AT_FDCWD, whole, O_RDONLY | O_DIRECTORY | O_CLOEXEC, 0);
}

static int open_checked(const char *top, const char *path, unsigned long type) {
    struct statfs status;
    int fd = open_group(top, path);
    if (fd < 0) return fd;
    if (sys_fstatfs(fd, &status) == 0 && (unsigned long)status.f_type == type) return fd;
    sys_close(fd);
    return -ENODEV;
}

static int open_of_line(struct cw_join_group *group) {
    const char *controllers = after_colon(group->line);
    const char *path = after_colon(controllers);
    group->unified = controllers[0] == ':';
    if (group->unified) {
        int fd = open_checked("/sys/fs/cgroup", path, CGROUP2_SUPER_MAGIC);
        return fd >= 0 ? fd : open_checked("/sys/fs/cgroup/unified", path, CGROUP2_SUPER_MAGIC);
    }
    char top[CW_PATH_MAX];
    struct cw_text text = CW_TEXT(top);
    if (memcmp(controllers, "name=", 5) == 0) controllers += 5;
    cw_text_add(&text, "/sys/fs/cgroup/");
    cw_text_add_bytes(&text, controllers, (size_t)(path - controllers) - 1);
    return open_checked(top, path, CGROUP_SUPER_MAGIC);
}

int cw_join_groups_open(struct cw_join_groups *groups, int proc, int pid, int parent,
                        struct cw_fault *fault) {
    char theirs[CW_TEXT_SIZE];
    char own[CW_TEXT_SIZE];
    groups->count = 0;
    CW_TRY(fault, "read", cw_proc_read(proc, pid, "cgroup", theirs, sizeof theirs));
    if (cw_proc_read(proc, parent, "cgroup", own, sizeof own) < 0) return 0; // nobody minds it
    const char *at = theirs;
    struct cw_join_group *group = &groups->items[0];
    while (next_line(&at, group->line, sizeof group->line)) {
        if (has_line(own, group->line)) continue;
        struct cw_text detail = CW_TEXT(fault->detail);
        fault->detail[0] = '\0';
        cw_text_add(&detail, "control group ");
        cw_text_add(&detail, group->line);
        if (groups->count + 1 == CW_JOIN_GROUPS_MAX) return cw_fail(fault, "open", -E2BIG);
        group->directory = (int)CW_TRY(fault, "open", open_of_line(group));
        fault->detail[0] = '\0';
        group = &groups->items[++groups->count];
    }
    return 0;
}

long cw_join_groups_clone(struct cw_join_groups *groups, int *pidfd) {
    for (unsigned i = 0; i < groups->count; i++) {
        struct cw_join_group *group = &groups->items[i];
        if (!group->unified) continue;
        struct clone_args args = {.flags = CLONE_PIDFD | CLONE_INTO_CGROUP,
                                  .pidfd = (uintptr_t)pidfd,
                                  .cgroup = (uint64_t)group->directory};
        long pid = sys_clone3(&args);
        // Docker's filter, or before Linux 5.7: then as with version 1.
        if (pid != -ENOSYS && pid != -EPERM && pid != -EINVAL && pid != -E2BIG) return pid;
    }
    return sys_clone(CLONE_PIDFD, pidfd);
}

int cw_join_groups_enter(const struct cw_join_groups *groups, struct cw_fault *fault) {
    char text[CW_TEXT_SIZE];
    if (groups->count == 0) return 0;
    CW_AUTO_FD proc = cw_proc_open(fault);
    if (proc < 0) return proc;
    cw_at(fault, CW_STEP_JOIN, CW_NO_INDEX);
    CW_TRY(fault, "read", cw_proc_read(proc, 0, "cgroup", text, sizeof text));
    for (unsigned i = 0; i < groups->count; i++) {
        const struct cw_join_group *group = &groups->items[i];
        if (has_line(text, group->line)) continue;
        CW_AUTO_FD file = (int)CW_TRY(
            fault, "open", sys_openat(group->directory, "cgroup.procs", O_WRONLY | O_CLOEXEC, 0));
        CW_TRY(fault, "write", sys_write(file, "0", 1));
    }
    CW_TRY(fault, "read", cw_proc_read(proc, 0, "cgroup", text, sizeof text));
    for (unsigned i = 0; i < groups->count; i++)
        if (!has_line(text, groups->items[i].line)) return cw_fail(fault, "write", -EXDEV);
    return 0;
}

void cw_join_groups_close(struct cw_join_groups *groups) {
    for (unsigned i = 0; i < groups->count; i++) cw_close(&groups->items[i].directory);
    groups->count = 0;
}
