// SPDX-License-Identifier: MIT
#include "identity.h"

#include "procfs.h"
#include "sys.h"

long cw_proc_read(int proc, int pid, const char *name, char *text, size_t size) {
    CW_AUTO_FD file = cw_proc_open_of(proc, pid, name, O_RDONLY);
    if (file < 0) return file;
    long used = sys_read(file, text, size - 1);
    text[used > 0 ? used : 0] = '\0';
    return used;
}

const char *cw_read_number(const char *at, uint64_t *number) {
    while (*at == ' ') at++;
    for (*number = 0; *at >= '0' && *at <= '9'; at++) *number = *number * 10 + (uint64_t)(*at - '0');
    return at;
}

// The second field of it, a name in parentheses, may contain anything.
long cw_proc_stat(int proc, int pid, uint64_t *parent, uint64_t *start_time) {
    char text[1024];
    uint64_t value;
    long size = cw_proc_read(proc, pid, "stat", text, sizeof text);
    if (size < 0) return size;
    const char *at = text + size;
    while (at > text && *at != ')') at--;
    if (*at != ')') return -EPROTO;
    at += 4; // ") S "
    for (int field = 4; field <= 22; field++) {
        at = cw_read_number(*at == '-' ? at + 1 : at, &value);
        if (field == 4) *parent = value;
        if (field < 22 && *at++ != ' ') return -EPROTO;
    }
    *start_time = value;
    return 0;
}
