// SPDX-License-Identifier: MIT
// What the compiler expects a C library to have; left out of hosted (sanitizer, fuzzer) builds.
#include "text.h"

void *memcpy(void *to, const void *from, size_t size) {
    char *t = to;
    const char *f = from;
    while (size-- > 0) *t++ = *f++;
    return to;
}

void *memmove(void *to, const void *from, size_t size) {
    char *t = to;
    const char *f = from;
    if (t <= f) return memcpy(to, from, size);
    while (size-- > 0) t[size] = f[size];
    return to;
}

void *memset(void *to, int value, size_t size) {
    char *t = to;
    while (size-- > 0) *t++ = (char)value;
    return to;
}

int memcmp(const void *a, const void *b, size_t size) {
    const unsigned char *x = a;
    const unsigned char *y = b;
    for (; size > 0; size--, x++, y++)
        if (*x != *y) return *x - *y;
    return 0;
}

size_t strlen(const char *text) {
    size_t size = 0;
    while (text[size] != '\0') size++;
    return size;
}
