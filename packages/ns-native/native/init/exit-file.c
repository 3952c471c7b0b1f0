// SPDX-License-Identifier: MIT
#include "exit-file.h"

#include "descriptors.h"
#include "sys.h"
#include "text.h"

static void add_signal(struct cw_text *text, unsigned signal) {
    static const char *const names[] = {
        "0",      "HUP",  "INT",  "QUIT", "ILL",  "TRAP", "ABRT",   "BUS",  "FPE",  "KILL", "USR1",
        "SEGV",   "USR2", "PIPE", "ALRM", "TERM", "STKFLT", "CHLD", "CONT", "STOP", "TSTP", "TTIN",
        "TTOU",   "URG",  "XCPU", "XFSZ", "VTALRM", "PROF", "WINCH", "IO",  "PWR",  "SYS"};
    cw_text_add(text, "SIG");
    if (signal < sizeof names / sizeof names[0])
        cw_text_add(text, names[signal]);
    else
        cw_text_add_number(text, signal, 1);
}

static void describe(struct cw_text *text, int status, uint32_t reason) {
    static const char *const reasons[] = {"",       "",        "",     "wall",        "cpu",
                                          "memory", "pids",    "output", "seccomp", "parent-gone"};
    unsigned signal = (unsigned)status & 0x7f;
    cw_text_add(text, "exit-code=");
    if (signal == 0) cw_text_add_number(text, (uint64_t)(status >> 8 & 0xff), 1);
    cw_text_add(text, "\nsignal=");
    if (signal != 0) add_signal(text, signal);
    if (reason < sizeof reasons / sizeof reasons[0] && reasons[reason][0] != '\0') {
        cw_text_add(text, "\nreason=");
        cw_text_add(text, reasons[reason]);
    }
    cw_text_add(text, "\nfinished-at=");
    cw_text_add_time(text);
    cw_text_add(text, "\n");
}

int cw_exit_file_write(const char *path, int status, uint32_t reason) {
    char content[128];
    char temporary[300];
    const char *name = cw_last_component(path);
    struct cw_text text = CW_TEXT(content);
    struct cw_text temporary_name = CW_TEXT(temporary);
    describe(&text, status, reason);
    cw_text_add(&temporary_name, ".");
    cw_text_add(&temporary_name, name);
    cw_text_add(&temporary_name, ".tmp");
    if (temporary_name.full) return -ENAMETOOLONG;

    CW_AUTO_FD parent = cw_open_parent(path);
    if (parent < 0) return parent;
    CW_AUTO_FD file = (int)sys_openat(
        parent, temporary, O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW | O_CLOEXEC, 0644);
    if (file < 0) return file;
    long error = sys_write(file, content, text.used);
    if (error >= 0) error = sys_fsync(file);
    if (error >= 0) error = sys_renameat(parent, temporary, parent, name);
    return error < 0 ? (int)error : (int)sys_fsync(parent);
}
