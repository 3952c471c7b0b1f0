// SPDX-License-Identifier: MIT
// The monitor's side of the connection to Node.
#ifndef CW_MESSAGE_H
#define CW_MESSAGE_H

#include "fault.h"
#include "records.h"
#include "text.h"

#include <linux/resource.h>

// Blocks for one whole message and returns its mapped records; an empty or malformed one is an
// error. Mapped once, never given back.
int cw_message_read(int control, uint8_t **records, size_t *length);

#define CW_COMMAND_MAX 240

// Commands that arrive in pieces.
struct cw_commands {
    uint8_t bytes[16 + CW_COMMAND_MAX];
    size_t used;
};

struct cw_command {
    uint16_t type;
    uint16_t size;
    uint8_t payload[CW_COMMAND_MAX];
};

// The index-th number of a command's payload; 0 where it has none.
static inline uint32_t cw_command_u32(const struct cw_command *command, unsigned index) {
    uint32_t value = 0;
    if (4 * (index + 1) <= command->size) memcpy(&value, command->payload + 4 * index, 4);
    return value;
}

// Reads what is there: 1 with a command, 0 for none yet, -errno at the end or for nonsense.
int cw_command_read(int control, struct cw_commands *commands, struct cw_command *command);

// One record as a message of its own.
int cw_send_record(int control, uint16_t type, const void *payload, size_t size);
// The same without waiting for room: -EAGAIN, with nothing sent, when there is none.
int cw_offer_record(int control, uint16_t type, const void *payload, size_t size);

int cw_send_started(int control, int pid);
int cw_send_fault(int control, const struct cw_fault *fault);

// A record that is to go out together with another one.
struct cw_outgoing {
    uint16_t type;
    const void *payload;
    size_t size;
};
#define CW_OUTGOING_MAX 2

// The end, after a last word about it: one message, for each wakes its reader.
int cw_send_end(int control, const struct cw_outgoing *last, int status,
                const struct rusage *usage);

#endif
