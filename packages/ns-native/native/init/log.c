// SPDX-License-Identifier: MIT
#include "log.h"

#include "sys.h"

int cw_log_open(const char *path, struct cw_fault *fault) {
    cw_at(fault, CW_STEP_LOG, CW_NO_INDEX);
    return (int)CW_TRY(fault, "open",
                       sys_openat(AT_FDCWD, path,
                                  O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC | O_NOCTTY, 0600));
}

void cw_log_write(int log, const char *stream, const uint8_t *data, size_t size) {
    char head[64];
    struct cw_text time = CW_TEXT(head);
    cw_text_add_time(&time);
    cw_text_add(&time, " ");
    cw_text_add(&time, stream);
    while (size > 0) {
        size_t line = 0;
        while (line < size && data[line] != '\n') line++;
        bool whole = line < size;
        char tags[2][4] = {" P ", " F "};
        struct iovec parts[] = {
            {.iov_base = head, .iov_len = time.used},
            {.iov_base = tags[whole], .iov_len = 3},
            {.iov_base = (void *)(uintptr_t)data, .iov_len = line},
            {.iov_base = (char[]){'\n'}, .iov_len = 1},
        };
        sys_writev(log, parts, 4);
        size_t taken = whole ? line + 1 : line;
        data += taken;
        size -= taken;
    }
}
