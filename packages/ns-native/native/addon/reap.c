// SPDX-License-Identifier: MIT
// The helpers that this process has started and not yet waited for. One whose worker thread has
// ended has nobody to wait for it: whoever starts the next one does.
#define _GNU_SOURCE
#include "native.h"

#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/wait.h>

struct child {
    int pid;
    const void *owner; // NULL: an orphan
    int claimed;       // JavaScript holds its descriptors
};

// Of the process, not of a thread: the addon is linked so that it is never unloaded.
static struct child *children;
static unsigned count;
static unsigned room;
static char locked;

// Held for some instructions and system calls that do not wait.
static void lock(void) {
    while (__atomic_test_and_set(&locked, __ATOMIC_ACQUIRE)) {
    }
}

static void unlock(void) { __atomic_clear(&locked, __ATOMIC_RELEASE); }

static void remove_at(unsigned index) { children[index] = children[--count]; }

void cw_child_add(int pid, const void *owner) {
    lock();
    if (count == room) {
        struct child *more = realloc(children, (room + 64) * sizeof *more);
        if (more != NULL) {
            children = more;
            room += 64;
        }
    }
    if (count < room) children[count++] = (struct child){pid, owner, 0};
    unlock();
}

void cw_child_claim(int pid) {
    lock();
    for (unsigned i = 0; i < count; i++)
        if (children[i].pid == pid) children[i].claimed = 1;
    unlock();
}

// A worker may be terminated before it has made a socket of a descriptor that it was given: that
// one stays open, and its helper would wait for ever. The pid is safe to use: it is not waited for.
void cw_child_orphan(const void *owner) {
    lock();
    for (unsigned i = 0; i < count; i++) {
        if (children[i].owner != owner) continue;
        children[i].owner = NULL;
        if (!children[i].claimed) kill(children[i].pid, SIGKILL);
    }
    unlock();
}

void cw_child_sweep(void) {
    lock();
    for (unsigned i = count; i-- > 0;)
        if (children[i].owner == NULL && waitpid(children[i].pid, NULL, WNOHANG) != 0) remove_at(i);
    unlock();
}

int cw_reap(int pid) {
    int result;
    do {
        result = waitpid(pid, NULL, WNOHANG);
    } while (result < 0 && errno == EINTR);
    int error = errno;
    if (result == 0) return 0;
    lock();
    for (unsigned i = count; i-- > 0;)
        if (children[i].pid == pid) remove_at(i);
    unlock();
    return result < 0 ? -error : result;
}
