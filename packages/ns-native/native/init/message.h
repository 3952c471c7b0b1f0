// SPDX-License-Identifier: MIT
// The monitor's side of the connection to Node.
#ifndef CW_MESSAGE_H
#define CW_MESSAGE_H

#include "fault.h"
#include "records.h"

#include <linux/resource.h>

// Blocks for one whole message and returns its mapped records; an empty or malformed one is an
// error. Mapped once, never given back.
int cw_message_read(int control, uint8_t **records, size_t *length);

// Commands that arrive in pieces.
struct cw_commands {
    uint8_t bytes[64];
    size_t used;
};

struct cw_command {
    uint16_t type;
    uint32_t value;
};

// Reads what is there: 1 with a command, 0 for none yet, -errno at the end or for nonsense.
int cw_command_read(int control, struct cw_commands *commands, struct cw_command *command);

int cw_send_started(int control, int pid);
int cw_send_fault(int control, const struct cw_fault *fault);
int cw_send_exited(int control, int status, const struct rusage *usage);

#endif
