// SPDX-License-Identifier: MIT
#include "tree.h"

#include "procfs.h"
#include "sys.h"
#include "text.h"

#define CW_TICK_MICROS 10000 // USER_HZ is 100 on both processors

static long read_of(int proc, uint32_t pid, const char *name, char *buffer, size_t size) {
    CW_AUTO_FD file = cw_proc_open_of(proc, (int)pid, name, O_RDONLY);
    if (file < 0) return file;
    long length = sys_read(file, buffer, size - 1);
    buffer[length < 0 ? 0 : length] = '\0';
    return length;
}

// utime, stime, cutime and cstime are the fields 14 to 17 of proc_pid_stat(5); the second is a name
// in parentheses that may have anything in it, parentheses too.
static void add_times(const char *stat, long length, struct cw_tree *tree) {
    while (length > 0 && stat[length - 1] != ')') length--;
    const char *at = stat + length;
    for (int field = 3; field <= 17 && *at == ' '; field++) {
        at++;
        uint64_t micros = field < 14 ? 0 : cw_text_number(at) * CW_TICK_MICROS;
        if (field % 2 == 0)
            tree->user_micros += micros;
        else
            tree->system_micros += micros;
        while (*at != ' ' && *at != '\0') at++;
    }
}

static void add_children(int proc, uint32_t pid, uint32_t thread, struct cw_tree *tree) {
    char name[40] = "task/";
    char list[4096];
    struct cw_text text = {.start = name, .size = sizeof name, .used = 5};
    cw_text_add_number(&text, thread, 1);
    cw_text_add(&text, "/children");
    CW_AUTO_FD file = cw_proc_open_of(proc, (int)pid, name, O_RDONLY);
    long size;
    uint32_t child = 0;
    if (file < 0) return;
    while ((size = sys_read(file, list, sizeof list)) > 0)
        for (long i = 0; i < size; i++) {
            if (list[i] != ' ') {
                child = child * 10 + (uint32_t)(list[i] - '0');
                continue;
            }
            if (child != 0 && tree->count < CW_TREE_MAX) tree->pids[tree->count++] = child;
            child = 0;
        }
}

// Each thread has children of its own.
static void add_threads(int proc, uint32_t pid, struct cw_tree *tree) {
    uint64_t entries[128];
    CW_AUTO_FD task = cw_proc_open_of(proc, (int)pid, "task", O_RDONLY | O_DIRECTORY);
    long size;
    if (task < 0) return;
    while ((size = sys_getdents64(task, entries, sizeof entries)) > 0)
        for (long at = 0; at < size;) {
            const struct cw_entry *entry = (const void *)((const uint8_t *)entries + at);
            uint32_t thread = (uint32_t)cw_text_number(entry->name);
            if (thread != 0) {
                tree->threads++;
                add_children(proc, pid, thread, tree);
            }
            at += entry->size;
        }
}

void cw_tree_look(int proc, uint32_t pid, struct cw_tree *tree) {
    char text[2048];
    tree->memory = tree->user_micros = tree->system_micros = 0;
    tree->threads = 0;
    tree->count = 1;
    tree->pids[0] = pid;
    // Who is born while we look, to somebody we have seen, is seen the next time.
    for (uint32_t i = 0; i < tree->count; i++) {
        long length = read_of(proc, tree->pids[i], "stat", text, sizeof text);
        if (length > 0) add_times(text, length, tree);
        if (read_of(proc, tree->pids[i], "status", text, sizeof text) > 0)
            tree->memory += cw_text_sum(text, "VmRSS:") * 1024;
        add_threads(proc, tree->pids[i], tree);
    }
}

uint64_t cw_tree_proportional(int proc, const struct cw_tree *tree) {
    char text[2048];
    uint64_t sum = 0;
    for (uint32_t i = 0; i < tree->count; i++)
        if (read_of(proc, tree->pids[i], "smaps_rollup", text, sizeof text) > 0)
            sum += cw_text_sum(text, "Pss:") * 1024;
    return sum;
}
