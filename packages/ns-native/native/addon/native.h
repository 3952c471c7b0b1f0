// SPDX-License-Identifier: MIT
// What the addon does, in C: numbers and bytes in, a value >= 0 or -errno out.
// Paths are NUL-terminated bytes. src/binding.ts describes the JavaScript side.
#ifndef CW_NATIVE_H
#define CW_NATIVE_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#define CW_EXTRAS_MAX 32
#define CW_STDIO_PIPE -1
#define CW_STDIO_IGNORE -2

struct cw_spawned {
    int32_t pid;
    int32_t control;
    int32_t pipes[3]; // our ends; -1 where none was asked for
    int32_t channel;  // likewise
    int32_t sent;     // bytes of the message that the control socket took
};

// spawn.c: start the helper with three stdio descriptors (or CW_STDIO_*) and up to CW_EXTRAS_MAX
// more, which become its 5, 6, …, a control socket, in which
// the message lies already, so that it need not wait for this thread, and where asked for a channel
// of descriptors.
int cw_spawn(int file, const char *helper, const int32_t *stdio, int count, const void *message, size_t size,
             int channel, struct cw_spawned *spawned);
// start.c: execute the helper, by the descriptor `file` unless that is -1, with these descriptors, all above `count` or -1, as 0, 1, …; without
// environment, and with all signals blocked.
int cw_start(int file, const char *path, const int *fds, int count, int32_t *pid);
// Some of the bytes, without waiting; 0 from cw_receive is the end.
int cw_send(int socket, const void *bytes, size_t size);
int cw_receive(int socket, void *bytes, size_t size);
// The next descriptor on a channel; -EAGAIN when there is none, -EMFILE when there is no room.
int cw_receive_fd(int channel);
// A sealed copy of a file in memory; the descriptor stays open for the life of the process.
int cw_seal(const char *path);

// reap.c: who has been started and is to be waited for; `owner` is the JavaScript environment.
void cw_child_add(int pid, const void *owner);
// The helper's end shows on its control socket from now on, and the other way round.
void cw_child_claim(int pid);
// The owner is ending: its children are anybody's.
void cw_child_orphan(const void *owner);
// Take the exit statuses of orphans that have ended.
void cw_child_sweep(void);
// Take the exit status of a helper that is ending: 0 while it has not ended yet.
int cw_reap(int pid);

// pidfd.c
int cw_pidfd_open(int pid);
int cw_pidfd_send_signal(int pidfd, int signal);
int cw_pidfd_copy(int pidfd);

// fs.c: what node:fs lacks.
int cw_mknod(const char *path, uint32_t mode, uint32_t device);
int cw_setxattr(const char *path, const char *name, const void *value, size_t size);
int cw_getxattr(const char *path, const char *name, void *value, size_t size);
int cw_listxattr(const char *path, char *names, size_t size);
int cw_removexattr(const char *path, const char *name);
int cw_syncfs(const char *path);
// The version of Landlock's interface, or -errno.
int cw_landlock_abi(void);
int cw_terminal_save(int fd, void *state, size_t size);
int cw_terminal_load(int fd, const void *state, size_t size);

#ifdef __cplusplus
}
#endif

#endif
