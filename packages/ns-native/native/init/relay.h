// SPDX-License-Identifier: MIT
// Copies between the caller's stdio and the container's, where the container must not have the
// caller's own descriptors: terminals (TIOCSTI), a log to keep, a pty of its own.
#ifndef CW_RELAY_H
#define CW_RELAY_H

#include "config.h"
#include "fault.h"

#include <asm/poll.h>

struct cw_stream {
    int source; // -1: nothing (more) to read
    int sink;   // -1: nobody (any more) to write to
    uint8_t *buffer;
    uint32_t start;
    uint32_t end;
    const char *name; // for the log
    bool socket;      // the sink is one, and takes MSG_DONTWAIT
    uint32_t limit;   // bytes per write: a sink that may block has room for that after poll
};

struct cw_relay {
    struct cw_stream streams[3]; // as stdin, stdout, stderr
    int given[3];                // what the container gets instead of 0-2; -1: those themselves
    int log;
    uint64_t output;  // bytes that the container wrote
    uint64_t allowed; // of those; 0: any number
    bool exceeded;
    int master;
    int slave; // held open so that reading the master ends with the container, not before
    int terminal; // the caller's, while it is raw; else -1
    uint8_t terminal_state[64];
};

#define CW_RELAY_POLLS 6

// Decide per descriptor and make the pipes; before init is cloned.
int cw_relay_open(struct cw_relay *relay, const struct cw_config *config, struct cw_fault *fault);

// In the monitor, after the clone: let go of what is the container's, or the caller's alone.
void cw_relay_settle(struct cw_relay *relay);

// The pty's two ends have come from init.
int cw_relay_set_pty(struct cw_relay *relay, int master, int slave);

// The program runs: the caller's terminal becomes raw when there is a pty.
void cw_relay_start(struct cw_relay *relay);

unsigned cw_relay_poll(struct cw_relay *relay, struct pollfd *polls);
// Copies what can be copied without waiting; true when anything moved.
bool cw_relay_pump(struct cw_relay *relay, const struct pollfd *polls, unsigned count);

// The container is dead: read what it left behind. True when all of it has been delivered.
bool cw_relay_drain(struct cw_relay *relay);

// Whether anything waits for the caller to take it.
bool cw_relay_is_pending(const struct cw_relay *relay);

// Give the caller's terminal its mode back.
void cw_relay_close(struct cw_relay *relay);

#endif
