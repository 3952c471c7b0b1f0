// SPDX-License-Identifier: MIT
// What the helper takes from outside itself: the configuration and commands of Node, packets of init.
// The first byte of an input says which. For libFuzzer, and for driver.c where there is none; both with
// AddressSanitizer, which sees reads past an input, and UndefinedBehaviorSanitizer.
#include "../init/config.h"
#include "../init/extras.h"
#include "../init/message.c" // take_command is its own
#include "../init/packet.h"
#include "../init/sys.h"

#define CW_INPUT_MAX (1 << 20)

void *calloc(size_t count, size_t size);
void free(void *memory);
_Noreturn void abort(void);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

// Somewhere for what is read to go, so that it is.
static volatile uint64_t seen;

static void see(const void *bytes, size_t size) {
    const uint8_t *at = bytes;
    for (size_t i = 0; i < size; i++) seen += at[i];
}

static void see_text(const char *text) {
    if (text != NULL) see(text, strlen(text) + 1);
}

// A list that execve could take.
static void see_texts(const struct cw_strings *texts) {
    for (uint32_t i = 0; i < texts->count; i++) see_text(texts->items[i]);
    if (texts->items[texts->count] != NULL) abort();
}

static void see_mount(const struct cw_mount *mount) {
    const char *layer = mount->layers;
    see_text(mount->source);
    see_text(mount->destination);
    see(mount->content, mount->content_size);
    for (uint32_t i = 0; i < mount->layer_count; i++, layer += strlen(layer) + 1) see_text(layer);
}

static void see_privilege(const struct cw_privilege *privilege) {
    if (privilege->join_count > CW_JOINS_MAX || privilege->rlimit_count > CW_RLIMITS_MAX ||
        privilege->offset_count > CW_CLOCKS_MAX)
        abort();
    for (uint32_t i = 0; i < privilege->join_count; i++) see_text(privilege->joins[i].path);
    for (uint32_t i = 0; i < privilege->landlock.rule_count; i++)
        see_text(privilege->landlock.rules[i].path);
    see_text(privilege->domainname);
    see_text(privilege->apparmor);
    see_text(privilege->selinux);
}

// Everything that the helper will read of a configuration that it has accepted.
static void see_config(const struct cw_config *config) {
    const struct cw_strings *lists[] = {&config->lower,     &config->masked,      &config->readonly,
                                        &config->arguments, &config->environment, &config->removals};
    const char *texts[] = {config->newuidmap, config->newgidmap, config->hostname, config->root,
                           config->upper,     config->work,      config->cwd,      config->log_path,
                           config->exit_path, config->attach_path};
    for (unsigned i = 0; i < sizeof lists / sizeof *lists; i++) see_texts(lists[i]);
    for (unsigned i = 0; i < sizeof texts / sizeof *texts; i++) see_text(texts[i]);
    for (uint32_t i = 0; i < config->mount_count; i++) see_mount(&config->mounts[i]);
    see(config->uids.ranges, config->uids.count * sizeof *config->uids.ranges);
    see(config->gids.ranges, config->gids.count * sizeof *config->gids.ranges);
    see(config->groups, config->group_count * sizeof *config->groups);
    see(config->seccomp, config->seccomp_count * (size_t)8);
    see(config->extras, config->extra_count * sizeof *config->extras);
    see(config->listeners, config->listener_count * sizeof *config->listeners);
    see_privilege(&config->privilege);
    if (config->arguments.count == 0 || config->cwd == NULL || config->cwd[0] != '/') abort();
    if (config->extra_count > CW_EXTRAS_MAX) abort();
}

static void try_config(const uint8_t *data, size_t size) {
    static struct cw_config config;
    uint8_t *copy = calloc(1, size);
    size_t room = cw_config_memory(size);
    void *memory = calloc(1, room);
    memcpy(copy, data, size);
    if (cw_config_decode(copy, size, memory, room, &config) == 0) see_config(&config);
    free(memory);
    free(copy);
}

// As cw_command_read, with the input in pieces of what its first byte says instead of a socket's.
static void try_commands(const uint8_t *data, size_t size) {
    struct cw_commands *commands = calloc(1, sizeof *commands);
    struct cw_command *command = calloc(1, sizeof *command);
    size_t piece = size > 0 ? 1 + data[0] % 64 : 1;
    int taken = 0;
    while (taken >= 0) {
        while ((taken = take_command(commands, command)) > 0) see(command->payload, command->size);
        size_t room = sizeof commands->bytes - commands->used;
        if (taken < 0 || size == 0 || room == 0) break;
        if (piece > room) piece = room;
        if (piece > size) piece = size;
        memcpy(commands->bytes + commands->used, data, piece);
        commands->used += piece;
        data += piece;
        size -= piece;
    }
    // One that cannot be completed any more must have been refused.
    if (commands->used == sizeof commands->bytes && taken == 0) abort();
    free(command);
    free(commands);
}

static void try_packet(const uint8_t *data, size_t size) {
    struct cw_packet *packet = calloc(1, sizeof *packet);
    int pair[2];
    int fds[2];
    if (sys_socketpair(CW_SOCK_SEQPACKET | CW_SOCK_CLOEXEC, pair) < 0) abort();
    sys_send(pair[0], data, size, CW_MSG_DONTWAIT);
    if (cw_packet_receive(pair[1], packet, fds, CW_MSG_DONTWAIT) == 1) {
        see_text(packet->fault.call);
        see_text(packet->fault.detail);
        cw_send_fault(-1, &packet->fault); // as the monitor passes it on
    }
    sys_close(pair[0]);
    sys_close(pair[1]);
    free(packet);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    static void (*const parts[])(const uint8_t *, size_t) = {try_config, try_commands, try_packet};
    if (size < 1 || size > CW_INPUT_MAX) return 0;
    parts[data[0] % 3](data + 1, size - 1);
    return 0;
}
