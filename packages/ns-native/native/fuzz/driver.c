// SPDX-License-Identifier: MIT
// For compilers without libFuzzer: driver ROUNDS SEED FILE... runs decode.c's target on each file as
// it is, cut short at every length, and ROUNDS times with random changes.
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define SIZE_MAX_BYTES (1 << 16)

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static uint64_t state;

// xorshift64*: the same inputs for the same seed, wherever it runs.
static uint32_t random_below(uint32_t limit) {
    state ^= state >> 12;
    state ^= state << 25;
    state ^= state >> 27;
    return (uint32_t)((state * 2685821657736338717ULL) >> 33) % limit;
}

static size_t change(uint8_t *bytes, size_t size) {
    static const uint32_t odd[] = {0, 1, 3, 4, 7, 8, 0x7f, 0x80, 0xff, 0xffff, 0x7fffffff, 0x80000000,
                                   0xfffffff8, 0xffffffff};
    size_t at = random_below((uint32_t)size);
    switch (random_below(5)) {
    case 0:
        bytes[at] ^= (uint8_t)(1 << random_below(8));
        return size;
    case 1:
        bytes[at] = (uint8_t)random_below(256);
        return size;
    case 2: // a number in the place of another
        at &= ~(size_t)3;
        if (at + 5 <= size)
            memcpy(bytes + 1 + at, &odd[random_below(sizeof odd / sizeof *odd)], 4);
        return size;
    case 3: // a piece twice
        if (size * 2 < SIZE_MAX_BYTES) {
            memmove(bytes + size, bytes + at, size - at);
            return 2 * size - at;
        }
        return size;
    default:
        return at + 1;
    }
}

static void try_input(const uint8_t *bytes, size_t size) {
    uint8_t *exact = malloc(size); // so that the sanitizer sees its end
    memcpy(exact, bytes, size);
    LLVMFuzzerTestOneInput(exact, size);
    free(exact);
}

int main(int argc, char **argv) {
    static uint8_t original[SIZE_MAX_BYTES], changed[2 * SIZE_MAX_BYTES];
    if (argc < 4) return 2;
    uint32_t rounds = (uint32_t)strtoul(argv[1], NULL, 10);
    state = strtoull(argv[2], NULL, 10) | 1;
    for (int i = 3; i < argc; i++) {
        FILE *file = fopen(argv[i], "rb");
        size_t size = file == NULL ? 0 : fread(original, 1, sizeof original, file);
        if (size == 0) return 3;
        fclose(file);
        for (size_t length = 1; length <= size && length <= 4096; length++)
            try_input(original, length);
        for (uint32_t round = 0; round < rounds; round++) {
            size_t length = size;
            memcpy(changed, original, size);
            for (uint32_t n = 1 + random_below(6); n > 0; n--) length = change(changed, length);
            try_input(changed, length);
        }
    }
    printf("%d inputs, %u changes of each\n", argc - 3, rounds);
    return 0;
}
