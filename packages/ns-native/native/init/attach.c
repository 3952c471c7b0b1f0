// SPDX-License-Identifier: MIT
#include "attach.h"

#include "descriptors.h"
#include "identity.h"
#include "monitor.h"
#include "procfs.h"
#include "sys.h"

#define CW_BACKLOG 16

// struct sockaddr_un
struct address {
    uint16_t family;
    char path[108];
};

void cw_attach_init(struct cw_attach *attach) {
    attach->directory = attach->listener = -1;
    for (unsigned i = 0; i < CW_ATTACHMENTS_MAX; i++) attach->attachments[i].fd = -1;
}

// Nobody else may put another socket there.
static int check_directory(int directory, struct cw_fault *fault) {
    struct statx status;
    CW_TRY(fault, "statx", sys_statx(directory, "", AT_EMPTY_PATH, &status));
    bool ours = status.stx_uid == (uint32_t)sys_geteuid() && (status.stx_mode & 022) == 0;
    return ours ? 0 : cw_fail(fault, "statx", -EACCES);
}

// Bound to a temporary name, by the working directory as the whole path may be too long; what has
// the right name listens already.
static int listen_at(int socket, int directory, const char *name, struct cw_fault *fault) {
    struct address address = {.family = CW_AF_UNIX};
    struct cw_text temporary = CW_TEXT(address.path);
    cw_text_add(&temporary, ".");
    cw_text_add(&temporary, name);
    cw_text_add(&temporary, ".tmp");
    if (temporary.full) return cw_fail(fault, "bind", -ENAMETOOLONG);
    CW_TRY(fault, "fchdir", sys_fchdir(directory));
    sys_unlinkat(directory, address.path, 0);
    long mask = sys_umask(0177);
    long error = sys_bind(socket, &address, sizeof address);
    sys_umask((unsigned)mask);
    sys_chdir("/");
    CW_TRY(fault, "bind", error);
    CW_TRY(fault, "listen", sys_listen(socket, CW_BACKLOG));
    CW_TRY(fault, "rename", sys_renameat(directory, address.path, directory, name));
    return 0;
}

static void drop(struct cw_monitor *m, struct cw_attachment *attachment) {
    cw_unwatch(m, attachment->fd);
    cw_close(&attachment->fd);
}

static struct cw_attachment *find(struct cw_monitor *m, int fd) {
    for (unsigned i = 0; i < CW_ATTACHMENTS_MAX; i++)
        if (m->attach.attachments[i].fd == fd) return &m->attach.attachments[i];
    return NULL;
}

// What concerns the container; the rest is between the monitor and its launcher.
static bool is_for_all(const struct cw_command *command) {
    return command->type == CW_RECORD_SIGNAL || command->type == CW_RECORD_RESIZE;
}

static void obey(struct cw_monitor *m, int fd, short revents) {
    struct cw_attachment *attachment = find(m, fd);
    struct cw_command command;
    int taken = 0;
    (void)revents;
    if (attachment == NULL) return;
    while ((taken = cw_command_read(fd, &attachment->commands, &command)) > 0)
        if (is_for_all(&command))
            cw_monitor_obey(m, &command);
        else
            cw_limits_obey(m, fd, &command);
    if (taken < 0) drop(m, attachment);
}

static void tell_who_we_are(const struct cw_monitor *m, int fd) {
    struct {
        uint32_t pid;
        uint32_t monitor;
        uint64_t start_time;
    } payload = {(uint32_t)m->pid, (uint32_t)sys_getpid(), m->attach.start_time};
    cw_send_record(fd, CW_RECORD_ATTACHED, &payload, sizeof payload);
}

// The mode of the socket says it already, but its directory's owner may have changed that.
static bool may_attach(int fd) {
    struct cw_peer peer;
    return sys_peer(fd, &peer) == 0 && (peer.uid == 0 || peer.uid == (unsigned)sys_geteuid());
}

// Never waits for anybody: accepted sockets do not block.
static void welcome(struct cw_monitor *m, int listener, short revents) {
    (void)revents;
    int fd = (int)sys_accept(listener);
    if (fd < 0) return;
    struct cw_attachment *place = find(m, -1);
    if (place == NULL || !may_attach(fd) || cw_watch(m, fd, POLLIN, obey) < 0) {
        sys_close(fd);
        return;
    }
    place->fd = fd;
    place->commands.used = 0;
    if (m->started) tell_who_we_are(m, fd);
}

int cw_attach_open(struct cw_monitor *m) {
    const char *path = m->config.attach_path;
    struct cw_fault *fault = &m->fault;
    if (path == NULL) return 0;
    cw_at(fault, CW_STEP_ATTACH, CW_NO_INDEX);
    CW_AUTO_FD directory = (int)CW_TRY(fault, "open", cw_open_parent(path));
    int error = check_directory(directory, fault);
    if (error < 0) return error;
    int type = 1 /* SOCK_STREAM */ | CW_SOCK_CLOEXEC | CW_SOCK_NONBLOCK;
    CW_AUTO_FD socket = (int)CW_TRY(fault, "socket", sys_socket(CW_AF_UNIX, type));
    error = listen_at(socket, directory, cw_last_component(path), fault);
    if (error < 0) return error;
    CW_TRY(fault, "poll", cw_watch(m, socket, POLLIN, welcome));
    m->attach.directory = directory;
    m->attach.listener = socket;
    directory = socket = -1;
    return 0;
}

void cw_attach_started(struct cw_monitor *m) {
    struct cw_fault fault;
    uint64_t parent;
    if (m->attach.listener < 0) return;
    CW_AUTO_FD proc = cw_proc_open(&fault);
    if (proc >= 0) cw_proc_stat(proc, m->pid, &parent, &m->attach.start_time);
    for (unsigned i = 0; i < CW_ATTACHMENTS_MAX; i++)
        if (m->attach.attachments[i].fd >= 0) tell_who_we_are(m, m->attach.attachments[i].fd);
}

void cw_attach_close(struct cw_monitor *m) {
    if (m->attach.listener < 0) return;
    sys_unlinkat(m->attach.directory, cw_last_component(m->config.attach_path), 0);
    cw_unwatch(m, m->attach.listener);
    cw_close(&m->attach.listener);
    cw_close(&m->attach.directory);
}

void cw_attach_exited(struct cw_monitor *m) {
    for (unsigned i = 0; i < CW_ATTACHMENTS_MAX; i++)
        if (m->attach.attachments[i].fd >= 0) cw_limits_tell(m, m->attach.attachments[i].fd);
}

void cw_attach_tell(const struct cw_monitor *m, uint16_t type, const void *payload, size_t size) {
    cw_send_record(m->control, type, payload, size);
    for (unsigned i = 0; i < CW_ATTACHMENTS_MAX; i++)
        if (m->attach.attachments[i].fd >= 0)
            cw_send_record(m->attach.attachments[i].fd, type, payload, size);
}
