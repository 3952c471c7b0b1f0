// SPDX-License-Identifier: MIT
// Numbers out of a record, at any address. Little endian is what both machines are.
#ifndef CW_NUMBERS_H
#define CW_NUMBERS_H

#include "text.h"

static inline uint32_t u32_at(const uint8_t *data) {
    uint32_t value;
    memcpy(&value, data, sizeof value);
    return value;
}

static inline uint64_t u64_at(const uint8_t *data) {
    uint64_t value;
    memcpy(&value, data, sizeof value);
    return value;
}

#endif
