// SPDX-License-Identifier: MIT
#include "text.h"

#include "sys.h"

void cw_text_add_bytes(struct cw_text *text, const char *part, size_t size) {
    if (text->full || text->size - text->used <= size) {
        text->full = true;
        return;
    }
    memcpy(text->start + text->used, part, size);
    text->used += size;
    text->start[text->used] = '\0';
}

void cw_text_add(struct cw_text *text, const char *part) {
    cw_text_add_bytes(text, part, strlen(part));
}

void cw_text_add_number(struct cw_text *text, uint64_t number, unsigned digits) {
    char reversed[20];
    unsigned count = 0;
    do {
        reversed[count++] = (char)('0' + number % 10);
        number /= 10;
    } while (number != 0 || (count < digits && count < sizeof reversed));
    while (count > 0) cw_text_add_bytes(text, &reversed[--count], 1);
}

void cw_text_add_time(struct cw_text *text) {
    struct __kernel_timespec now = {0};
    sys_clock(CW_CLOCK_REALTIME, &now);
    // Days since 0000-03-01 make leap days the last of their year.
    uint64_t seconds = (uint64_t)now.tv_sec;
    uint64_t days = seconds / 86400 + 719468;
    uint64_t era = days / 146097;
    uint64_t day_of_era = days % 146097;
    uint64_t year_of_era =
        (day_of_era - day_of_era / 1460 + day_of_era / 36524 - day_of_era / 146096) / 365;
    uint64_t day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    uint64_t month_from_march = (5 * day_of_year + 2) / 153;
    uint64_t day = day_of_year - (153 * month_from_march + 2) / 5 + 1;
    uint64_t month = month_from_march < 10 ? month_from_march + 3 : month_from_march - 9;
    uint64_t year = era * 400 + year_of_era + (month <= 2 ? 1 : 0);
    cw_text_add_number(text, year, 4);
    cw_text_add(text, "-");
    cw_text_add_number(text, month, 2);
    cw_text_add(text, "-");
    cw_text_add_number(text, day, 2);
    cw_text_add(text, "T");
    cw_text_add_number(text, seconds / 3600 % 24, 2);
    cw_text_add(text, ":");
    cw_text_add_number(text, seconds / 60 % 60, 2);
    cw_text_add(text, ":");
    cw_text_add_number(text, seconds % 60, 2);
    cw_text_add(text, ".");
    cw_text_add_number(text, (uint64_t)now.tv_nsec, 9);
    cw_text_add(text, "Z");
}

uint64_t cw_text_number(const char *text) {
    uint64_t number = 0;
    while (*text == ' ' || *text == '\t') text++;
    for (; *text >= '0' && *text <= '9'; text++) number = number * 10 + (uint64_t)(*text - '0');
    return number;
}

uint64_t cw_text_sum(const char *text, const char *key) {
    size_t size = strlen(key);
    uint64_t sum = 0;
    if (size == 0) return cw_text_number(text);
    for (bool at_word = true; *text != '\0'; at_word = *text == ' ' || *text == '\n', text++) {
        size_t same = 0;
        while (same < size && text[same] == key[same]) same++;
        if (at_word && same == size) sum += cw_text_number(text + size);
    }
    return sum;
}

bool cw_same(const char *a, const char *b) {
    size_t size = strlen(a);
    return size == strlen(b) && memcmp(a, b, size) == 0;
}

const char *cw_last_component(const char *path) {
    const char *last = path;
    for (const char *at = path; *at != '\0'; at++)
        if (*at == '/') last = at + 1;
    return last;
}
