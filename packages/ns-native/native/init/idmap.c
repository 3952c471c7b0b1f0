// SPDX-License-Identifier: MIT
#include "idmap.h"

#include "descriptors.h"
#include "procfs.h"
#include "sys.h"

#define CW_NUMBER_SIZE 11

static int write_map(int proc, int pid, const char *name, const struct cw_id_map *map,
                     struct cw_fault *fault) {
    char lines[4096]; // a map may not be longer than a page
    struct cw_text text = CW_TEXT(lines);
    for (uint32_t i = 0; i < map->count; i++) {
        cw_text_add_number(&text, map->ranges[i].inside, 1);
        cw_text_add(&text, " ");
        cw_text_add_number(&text, map->ranges[i].outside, 1);
        cw_text_add(&text, " ");
        cw_text_add_number(&text, map->ranges[i].size, 1);
        cw_text_add(&text, "\n");
    }
    return cw_proc_write(proc, pid, name, &text, fault);
}

static int write_maps(const struct cw_config *config, int proc, int pid, struct cw_fault *fault) {
    cw_at(fault, CW_STEP_IDMAP_UID, CW_NO_INDEX);
    int error = write_map(proc, pid, "uid_map", &config->uids, fault);
    if (error < 0) return error;
    cw_at(fault, CW_STEP_IDMAP_GID, CW_NO_INDEX);
    return write_map(proc, pid, "gid_map", &config->gids, fault);
}

int cw_idmap_write_own(const struct cw_config *config, int proc, struct cw_fault *fault) {
    char deny[] = "deny";
    struct cw_text text = {.start = deny, .size = sizeof deny, .used = 4};
    cw_at(fault, CW_STEP_IDMAP_SETGROUPS, CW_NO_INDEX);
    int error = cw_proc_write(proc, 0, "setgroups", &text, fault);
    return error < 0 ? error : write_maps(config, proc, 0, fault);
}

// The child's part: newuidmap PID inside outside size ..., with an empty environment.
static _Noreturn void exec_mapper(const char *program, int pid, const struct cw_id_map *map,
                                  int complaints) {
    char numbers[3 * CW_ID_RANGES_MAX + 1][CW_NUMBER_SIZE];
    const char *argv[3 * CW_ID_RANGES_MAX + 3] = {cw_last_component(program)};
    const char *const envp[] = {NULL};
    unsigned count = 0;
    uint32_t values[3];
    struct cw_text text = CW_TEXT(numbers[count]);
    cw_text_add_number(&text, (uint64_t)pid, 1);
    argv[1 + count] = numbers[count];
    count++;
    for (uint32_t i = 0; i < map->count; i++) {
        values[0] = map->ranges[i].inside;
        values[1] = map->ranges[i].outside;
        values[2] = map->ranges[i].size;
        for (unsigned j = 0; j < 3; j++, count++) {
            text = CW_TEXT(numbers[count]);
            cw_text_add_number(&text, values[j], 1);
            argv[1 + count] = numbers[count];
        }
    }
    argv[1 + count] = NULL;
    cw_point_at_null(0);
    cw_point_at_null(1);
    sys_dup3(complaints, 2, 0);
    sys_close_range(3, ~0U, 0);
    for (int signal = 1; signal <= CW_SIGNAL_MAX; signal++) sys_sigdefault(signal);
    sys_sigmask(CW_SIG_SETMASK, 0);
    sys_execve(program, argv, envp);
    sys_exit(127);
}

struct mapper {
    int pid;
    int complaints;
};

static int start_mapper(struct mapper *mapper, const char *program, int pid,
                        const struct cw_id_map *map, struct cw_fault *fault) {
    int pipe[2];
    CW_TRY(fault, "pipe2", sys_pipe2(pipe, O_CLOEXEC));
    long child = sys_clone(CW_SIGCHLD, NULL);
    if (child == 0) exec_mapper(program, pid, map, pipe[1]);
    sys_close(pipe[1]);
    mapper->complaints = pipe[0];
    mapper->pid = (int)child;
    return child < 0 ? cw_fail(fault, "clone", child) : 0;
}

// Its exit, and when that is bad its own words as the detail.
static int finish_mapper(struct mapper *mapper, enum cw_step step, const char *program,
                         struct cw_fault *fault) {
    char words[sizeof fault->detail];
    size_t used = 0;
    long size;
    int status = 0;
    cw_at(fault, step, CW_NO_INDEX);
    while ((size = sys_read(mapper->complaints, words + used, sizeof words - 1 - used)) > 0)
        used += (size_t)size;
    cw_close(&mapper->complaints);
    long error = sys_wait4(mapper->pid, &status, 0, NULL);
    if (error < 0) return cw_fail(fault, "wait4", error);
    if (status == 0) return 0;
    while (used > 0 && words[used - 1] == '\n') used--;
    struct cw_text detail = CW_TEXT(fault->detail);
    cw_text_add_bytes(&detail, words, used);
    return cw_fail(fault, cw_last_component(program), status == 127 << 8 ? -ENOENT : -EPERM);
}

static int write_by_mappers(const struct cw_config *config, int pid, struct cw_fault *fault) {
    struct mapper uids;
    struct mapper gids;
    cw_at(fault, CW_STEP_IDMAP_UID, CW_NO_INDEX);
    if (config->newuidmap == NULL || config->newgidmap == NULL)
        return cw_fail(fault, "newuidmap", -ENOENT);
    int error = start_mapper(&uids, config->newuidmap, pid, &config->uids, fault);
    if (error < 0) return error;
    cw_at(fault, CW_STEP_IDMAP_GID, CW_NO_INDEX);
    error = start_mapper(&gids, config->newgidmap, pid, &config->gids, fault);
    if (error < 0) return error;
    error = finish_mapper(&uids, CW_STEP_IDMAP_UID, config->newuidmap, fault);
    if (error < 0) {
        struct cw_fault second;
        finish_mapper(&gids, CW_STEP_IDMAP_GID, config->newgidmap, &second);
        return error;
    }
    return finish_mapper(&gids, CW_STEP_IDMAP_GID, config->newgidmap, fault);
}

int cw_idmap_write(const struct cw_config *config, int proc, int pid, struct cw_fault *fault) {
    if (config->id_map_kind == CW_ID_MAP_SINGLE) return 0;
    if (config->id_map_kind == CW_ID_MAP_SUBID) return write_by_mappers(config, pid, fault);
    return write_maps(config, proc, pid, fault);
}
