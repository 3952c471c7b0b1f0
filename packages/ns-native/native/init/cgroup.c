// SPDX-License-Identifier: MIT
#include "cgroup.h"

#include "monitor.h"
#include "sys.h"

#define CW_GROUP_PREFIX "cromwell-"
// Killed processes leave their group some time after they were waited for: rmdir says EBUSY.
#define CW_REMOVE_TRIES 200
#define CW_REMOVE_PAUSE_MS 5
#define CW_GROUP_DEPTH_MAX 32
#define CW_PATH_MAX 4096

static int write_text(int directory, const char *name, const char *value) {
    CW_AUTO_FD file = (int)sys_openat(directory, name, O_WRONLY | O_CLOEXEC, 0);
    if (file < 0) return file;
    long size = sys_write(file, value, strlen(value));
    return size < 0 ? (int)size : 0;
}

// Removes a group with all below it; those that have processes stay.
static int remove_group(int parent, const char *name, int depth) {
    uint64_t entries[128];
    int error = (int)sys_unlinkat(parent, name, AT_REMOVEDIR);
    if (error != -EBUSY || depth == CW_GROUP_DEPTH_MAX) return error;
    CW_AUTO_FD group =
        (int)sys_openat(parent, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC, 0);
    if (group < 0) return group;
    long size;
    while ((size = sys_getdents64(group, entries, sizeof entries)) > 0)
        for (long at = 0; at < size;) {
            const struct cw_entry *entry = (const void *)((const uint8_t *)entries + at);
            if (entry->type == CW_DT_DIR && entry->name[0] != '.')
                remove_group(group, entry->name, depth + 1);
            at += entry->size;
        }
    return (int)sys_unlinkat(parent, name, AT_REMOVEDIR);
}

static int make(const char *path) {
    int error = (int)sys_mkdirat(AT_FDCWD, path, 0755);
    if (error != -EEXIST) return error;
    // What somebody of this name left behind; who still lives in it keeps it.
    error = remove_group(AT_FDCWD, path, 0);
    return error < 0 ? error : (int)sys_mkdirat(AT_FDCWD, path, 0755);
}

static int open_group(struct cw_group *group, struct cw_fault *fault) {
    struct cw_text detail = CW_TEXT(fault->detail);
    cw_text_add(&detail, group->path);
    if (group->flags & CW_GROUP_MAKE) {
        CW_TRY(fault, "mkdir", make(group->path));
        group->made = !(group->flags & CW_GROUP_KEEP);
    }
    group->fd = (int)CW_TRY(fault, "open", sys_openat(AT_FDCWD, group->path,
                                                      O_RDONLY | O_DIRECTORY | O_CLOEXEC, 0));
    const char *at = group->writes;
    for (uint32_t i = 0; i < group->write_count; i++) {
        const char *name = at;
        const char *value = name + strlen(name) + 1;
        at = value + strlen(value) + 1;
        bool optional = name[0] == '?';
        int error = write_text(group->fd, name + optional, value);
        if (error == 0 || (optional && error == -ENOENT)) continue;
        cw_text_add(&detail, "/");
        cw_text_add(&detail, name + optional);
        return cw_fail(fault, "write", error);
    }
    fault->detail[0] = '\0';
    return 0;
}

int cw_cgroup_open(struct cw_monitor *m) {
    // Namespaces are joined by a process in between, which could not tell us how it went.
    m->limits.migrated = m->config.cgroup_count > 0 && m->config.privilege.join_count > 0;
    for (uint32_t i = 0; i < m->config.cgroup_count; i++) {
        cw_at(&m->fault, CW_STEP_CGROUP, i);
        int error = open_group(&m->config.cgroups[i], &m->fault);
        if (error < 0) return error;
    }
    return 0;
}

static const struct cw_group *with_flag(const struct cw_monitor *m, uint32_t flag) {
    for (uint32_t i = 0; i < m->config.cgroup_count; i++)
        if (m->config.cgroups[i].flags & flag) return &m->config.cgroups[i];
    return NULL;
}

static int attach(const struct cw_monitor *m, const struct cw_group *group) {
    char number[24] = "";
    struct cw_text text = CW_TEXT(number);
    cw_text_add_number(&text, (uint64_t)m->pid, 1);
    cw_text_add_bytes(&text, "", 1);
    return write_text(group->fd, "cgroup.procs", number);
}

long cw_cgroup_clone(struct cw_monitor *m, unsigned long flags) {
    const struct cw_group *group = with_flag(m, CW_GROUP_INTO);
    // A cgroup namespace has its root where its maker is: init makes it, in its group.
    if (m->config.cgroup_count > 0) flags &= ~(unsigned long)CLONE_NEWCGROUP;
    if (group == NULL || m->limits.migrated) return sys_clone(flags, &m->pidfd);
    struct clone_args arguments = {
        .flags = (flags & ~0xffUL) | CLONE_INTO_CGROUP,
        .pidfd = (uintptr_t)&m->pidfd,
        .exit_signal = flags & 0xff,
        .cgroup = (uint64_t)group->fd,
    };
    long pid = sys_clone3(&arguments);
    // Docker's filter, before Linux 5.7, or a kernel without this flag.
    if (pid != -ENOSYS && pid != -EPERM && pid != -EINVAL && pid != -E2BIG) return pid;
    m->limits.migrated = true;
    return sys_clone(flags, &m->pidfd);
}

int cw_cgroup_attach(struct cw_monitor *m) {
    uint32_t flags = CW_GROUP_ATTACH | (m->limits.migrated ? CW_GROUP_INTO : 0);
    for (uint32_t i = 0; i < m->config.cgroup_count; i++) {
        const struct cw_group *group = &m->config.cgroups[i];
        if (!(group->flags & flags)) continue;
        cw_at(&m->fault, CW_STEP_CGROUP, i);
        CW_TRY(&m->fault, "write", attach(m, group));
    }
    return 0;
}

static const struct cw_group *with_roles(const struct cw_monitor *m, uint32_t roles) {
    for (uint32_t i = 0; i < m->config.cgroup_count; i++)
        if ((m->config.cgroups[i].roles & roles) == roles) return &m->config.cgroups[i];
    return NULL;
}

void cw_cgroup_kill(struct cw_monitor *m) {
    const struct cw_group *group = with_roles(m, CW_ROLE_KILL);
    if (group != NULL && group->fd >= 0) write_text(group->fd, "cgroup.kill", "1");
    // What version 1 has frozen does not even die.
    group = with_roles(m, CW_ROLE_FREEZE | CW_ROLE_V1);
    if (group != NULL && group->fd >= 0 && m->limits.freezing != 0)
        write_text(group->fd, "freezer.state", "THAWED");
}

int cw_cgroup_freeze(struct cw_monitor *m, bool frozen) {
    const struct cw_group *group = with_roles(m, CW_ROLE_FREEZE);
    if (group == NULL) return -EOPNOTSUPP;
    if (group->roles & CW_ROLE_V1)
        return write_text(group->fd, "freezer.state", frozen ? "FROZEN" : "THAWED");
    return write_text(group->fd, "cgroup.freeze", frozen ? "1" : "0");
}

int cw_cgroup_file(const struct cw_monitor *m, uint32_t roles, const char *name, int flags) {
    const struct cw_group *group = with_roles(m, roles);
    return group == NULL ? -ENOENT : (int)sys_openat(group->fd, name, flags | O_CLOEXEC, 0);
}

static long read_file(int directory, const char *name, char *buffer, size_t size) {
    CW_AUTO_FD file = (int)sys_openat(directory, name, O_RDONLY | O_CLOEXEC, 0);
    if (file < 0) return file;
    long length = sys_read(file, buffer, size - 1);
    buffer[length < 0 ? 0 : length] = '\0';
    return length;
}

bool cw_cgroup_is_frozen(const struct cw_monitor *m) {
    char text[256];
    const struct cw_group *group = with_roles(m, CW_ROLE_FREEZE);
    if (group == NULL) return false;
    if (group->roles & CW_ROLE_V1)
        return read_file(group->fd, "freezer.state", text, sizeof text) > 3 &&
               memcmp(text, "FROZ", 4) == 0;
    return read_file(group->fd, "cgroup.events", text, sizeof text) > 0 &&
           cw_text_sum(text, "frozen ") == 1;
}

struct source {
    uint16_t roles;
    uint8_t figure;
    uint32_t divisor;
    const char *file;
    const char *key; // the numbers after each occurrence are added up
};

static const struct source sources[] = {
    {CW_ROLE_MEMORY, CW_FIGURE_MEMORY_PEAK, 1, "memory.peak", ""},
    {CW_ROLE_MEMORY, CW_FIGURE_MEMORY_NOW, 1, "memory.current", ""},
    {CW_ROLE_MEMORY, CW_FIGURE_OOM_KILLS, 1, "memory.events", "oom_kill "},
    {CW_ROLE_PIDS, CW_FIGURE_PIDS_PEAK, 1, "pids.peak", ""},
    {CW_ROLE_PIDS, CW_FIGURE_PIDS_NOW, 1, "pids.current", ""},
    {CW_ROLE_PIDS, CW_FIGURE_PIDS_DENIED, 1, "pids.events", "max "},
    {CW_ROLE_CPU, CW_FIGURE_CPU_USER, 1, "cpu.stat", "user_usec "},
    {CW_ROLE_CPU, CW_FIGURE_CPU_SYSTEM, 1, "cpu.stat", "system_usec "},
    {CW_ROLE_IO, CW_FIGURE_IO_READ, 1, "io.stat", "rbytes="},
    {CW_ROLE_IO, CW_FIGURE_IO_WRITE, 1, "io.stat", "wbytes="},
    {CW_ROLE_V1 | CW_ROLE_MEMORY, CW_FIGURE_MEMORY_PEAK, 1, "memory.max_usage_in_bytes", ""},
    {CW_ROLE_V1 | CW_ROLE_MEMORY, CW_FIGURE_MEMORY_NOW, 1, "memory.usage_in_bytes", ""},
    {CW_ROLE_V1 | CW_ROLE_OOM, CW_FIGURE_OOM_KILLS, 1, "memory.oom_control", "oom_kill "},
    {CW_ROLE_V1 | CW_ROLE_PIDS, CW_FIGURE_PIDS_PEAK, 1, "pids.peak", ""},
    {CW_ROLE_V1 | CW_ROLE_PIDS, CW_FIGURE_PIDS_NOW, 1, "pids.current", ""},
    {CW_ROLE_V1 | CW_ROLE_DENIED, CW_FIGURE_PIDS_DENIED, 1, "pids.events", "max "},
    {CW_ROLE_V1 | CW_ROLE_CPU, CW_FIGURE_CPU_USER, 1000, "cpuacct.usage_user", ""},
    {CW_ROLE_V1 | CW_ROLE_CPU, CW_FIGURE_CPU_SYSTEM, 1000, "cpuacct.usage_sys", ""},
    {CW_ROLE_V1 | CW_ROLE_IO, CW_FIGURE_IO_READ, 1, "blkio.throttle.io_service_bytes", "Read "},
    {CW_ROLE_V1 | CW_ROLE_IO, CW_FIGURE_IO_WRITE, 1, "blkio.throttle.io_service_bytes", "Write "},
};

void cw_cgroup_read(const struct cw_monitor *m, struct cw_usage *usage) {
    char text[4096];
    for (unsigned i = 0; i < sizeof sources / sizeof sources[0]; i++) {
        const struct source *source = &sources[i];
        const struct cw_group *group = with_roles(m, source->roles);
        if (group == NULL || group->fd < 0 || (group->roles ^ source->roles) & CW_ROLE_V1) continue;
        if (read_file(group->fd, source->file, text, sizeof text) < 0) continue;
        cw_usage_set(usage, source->figure, cw_text_sum(text, source->key) / source->divisor,
                     group->roles & CW_ROLE_V1 ? CW_SOURCE_CGROUP1 : CW_SOURCE_CGROUP2);
    }
}

void cw_cgroup_remove(struct cw_monitor *m) {
    for (uint32_t i = m->config.cgroup_count; i > 0; i--) {
        struct cw_group *group = &m->config.cgroups[i - 1];
        cw_close(&group->fd);
        if (!group->made) continue;
        for (int tries = 0; tries < CW_REMOVE_TRIES; tries++) {
            if (remove_group(AT_FDCWD, group->path, 0) != -EBUSY) break;
            sys_poll(NULL, 0, CW_REMOVE_PAUSE_MS);
        }
    }
}

// cromwell-<pid of the monitor>-…, of one that is no more.
static bool is_left_behind(const char *name) {
    size_t prefix = sizeof CW_GROUP_PREFIX - 1;
    uint64_t pid = 0;
    if (strlen(name) <= prefix || memcmp(name, CW_GROUP_PREFIX, prefix) != 0) return false;
    for (name += prefix; *name >= '0' && *name <= '9'; name++)
        pid = pid * 10 + (uint64_t)(*name - '0');
    return *name == '-' && pid > 0 && pid < 1 << 30 && sys_kill((int)pid, 0) == -ESRCH;
}

static void sweep(const struct cw_group *group) {
    char path[CW_PATH_MAX] = "";
    uint64_t entries[128];
    struct cw_text text = CW_TEXT(path);
    cw_text_add_bytes(&text, group->path, (size_t)(cw_last_component(group->path) - group->path));
    CW_AUTO_FD parent = (int)sys_openat(AT_FDCWD, path, O_RDONLY | O_DIRECTORY | O_CLOEXEC, 0);
    if (text.full || parent < 0) return;
    long size;
    while ((size = sys_getdents64(parent, entries, sizeof entries)) > 0)
        for (long at = 0; at < size;) {
            const struct cw_entry *entry = (const void *)((const uint8_t *)entries + at);
            if (entry->type == CW_DT_DIR && is_left_behind(entry->name))
                remove_group(parent, entry->name, 0);
            at += entry->size;
        }
}

void cw_cgroup_sweep(const struct cw_monitor *m) {
    for (uint32_t i = 0; i < m->config.cgroup_count; i++)
        if (m->config.cgroups[i].flags & CW_GROUP_SWEEP) sweep(&m->config.cgroups[i]);
}
