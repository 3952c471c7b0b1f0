// SPDX-License-Identifier: MIT
// Text put together in a buffer of fixed size.
#ifndef CW_TEXT_H
#define CW_TEXT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

// The compiler emits calls to these four whatever the flags.
void *memcpy(void *to, const void *from, size_t size);
void *memmove(void *to, const void *from, size_t size);
void *memset(void *to, int value, size_t size);
int memcmp(const void *a, const void *b, size_t size);
size_t strlen(const char *text);

struct cw_text {
    char *start;
    size_t size; // of the buffer
    size_t used; // without the final NUL
    bool full;   // something did not fit
};

#define CW_TEXT(buffer) ((struct cw_text){.start = (buffer), .size = sizeof(buffer)})

void cw_text_add(struct cw_text *text, const char *part);
void cw_text_add_bytes(struct cw_text *text, const char *part, size_t size);
void cw_text_add_number(struct cw_text *text, uint64_t number, unsigned digits);
// RFC 3339, UTC, nanoseconds.
void cw_text_add_time(struct cw_text *text);

// The number that a text begins with, spaces and tabs aside.
uint64_t cw_text_number(const char *text);
// The sum of the numbers after each word `key`; with an empty one, the number at the start.
uint64_t cw_text_sum(const char *text, const char *key);

bool cw_same(const char *a, const char *b);
// The part after the last slash.
const char *cw_last_component(const char *path);

#endif
