// SPDX-License-Identifier: MIT
// posix_spawn for bench/sandbox.mjs, so that peers are started as cheaply as our own helper: no copy
// of Node's memory. spawn(["/bin/x", "arg", ...]) returns [pid, fd]: the descriptor, the other end of
// a socketpair that the program has as its descriptor 3, ends when everything it started has.
#define _GNU_SOURCE
#include <fcntl.h>
#include <node_api.h>
#include <signal.h>
#include <spawn.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#define ARGUMENTS_MAX 64
#define TEXT_MAX 512

static napi_value number(napi_env env, int value) {
    napi_value result;
    napi_create_int32(env, value, &result);
    return result;
}

static int start(char *const argv[], int control, pid_t *pid) {
    char *const envp[] = {(char *)"PATH=/usr/bin:/bin:/usr/sbin:/sbin", NULL};
    posix_spawn_file_actions_t actions;
    posix_spawnattr_t attributes;
    sigset_t all, none;
    sigfillset(&all);
    sigemptyset(&none);
    posix_spawn_file_actions_init(&actions);
    posix_spawnattr_init(&attributes);
    for (int fd = 0; fd < 3; fd++)
        posix_spawn_file_actions_addopen(&actions, fd, "/dev/null", O_RDWR, 0);
    posix_spawn_file_actions_adddup2(&actions, control, 3);
    posix_spawnattr_setsigdefault(&attributes, &all);
    posix_spawnattr_setsigmask(&attributes, &none);
    posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETSIGDEF | POSIX_SPAWN_SETSIGMASK);
    int error = posix_spawn(pid, argv[0], &actions, &attributes, argv, envp);
    posix_spawnattr_destroy(&attributes);
    posix_spawn_file_actions_destroy(&actions);
    return error;
}

static napi_value spawn_program(napi_env env, napi_callback_info info) {
    static char texts[ARGUMENTS_MAX][TEXT_MAX];
    char *argv[ARGUMENTS_MAX + 1] = {NULL};
    napi_value list, element, result;
    uint32_t count = 0;
    size_t one = 1;
    napi_get_cb_info(env, info, &one, &list, NULL, NULL);
    napi_get_array_length(env, list, &count);
    for (uint32_t i = 0; i < count && i < ARGUMENTS_MAX; i++) {
        napi_get_element(env, list, i, &element);
        napi_get_value_string_utf8(env, element, texts[i], TEXT_MAX, NULL);
        argv[i] = texts[i];
    }
    int pair[2];
    pid_t pid = -1;
    socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair);
    // above 3, which dup2 is going to overwrite
    int high = fcntl(pair[1], F_DUPFD_CLOEXEC, 10);
    close(pair[1]);
    int error = start(argv, high, &pid);
    close(high);
    napi_create_array(env, &result);
    napi_set_element(env, result, 0, number(env, error != 0 ? -error : pid));
    napi_set_element(env, result, 1, number(env, pair[0]));
    return result;
}

// reap(pid): the wait status
static napi_value reap(napi_env env, napi_callback_info info) {
    napi_value argument;
    size_t one = 1;
    int32_t pid = 0;
    int status = -1;
    napi_get_cb_info(env, info, &one, &argument, NULL, NULL);
    napi_get_value_int32(env, argument, &pid);
    waitpid(pid, &status, 0);
    return number(env, status);
}

NAPI_MODULE_INIT() {
    napi_value function;
    napi_create_function(env, "spawn", NAPI_AUTO_LENGTH, spawn_program, NULL, &function);
    napi_set_named_property(env, exports, "spawn", function);
    napi_create_function(env, "reap", NAPI_AUTO_LENGTH, reap, NULL, &function);
    napi_set_named_property(env, exports, "reap", function);
    return exports;
}
