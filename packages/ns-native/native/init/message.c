// SPDX-License-Identifier: MIT
#include "message.h"

#include "sys.h"

struct head {
    uint32_t magic;
    uint32_t length;
};

struct record_head {
    uint16_t type;
    uint16_t flags;
    uint32_t length;
};

static int read_all(int fd, void *buffer, size_t size) {
    uint8_t *at = buffer;
    while (size > 0) {
        long taken = sys_read(fd, at, size);
        if (taken == -EINTR) continue;
        if (taken <= 0) return taken == 0 ? -EPIPE : (int)taken;
        at += taken;
        size -= (size_t)taken;
    }
    return 0;
}

int cw_message_read(int control, uint8_t **records, size_t *length) {
    struct head head;
    int error = read_all(control, &head, sizeof head);
    if (error < 0) return error;
    if (head.magic != CW_MAGIC || head.length == 0 || head.length > CW_MESSAGE_MAX ||
        head.length % 4 != 0)
        return -EPROTO;
    long memory = sys_map(head.length);
    if (memory < 0 && memory > -4096) return (int)memory;
    *records = (uint8_t *)memory;
    *length = head.length;
    return read_all(control, *records, *length);
}

// Every command is one record of at most CW_COMMAND_MAX bytes.
static int take_command(struct cw_commands *commands, struct cw_command *command) {
    struct head head;
    struct record_head record;
    if (commands->used < sizeof head) return 0;
    memcpy(&head, commands->bytes, sizeof head);
    if (head.magic != CW_MAGIC || head.length < sizeof record ||
        head.length > sizeof commands->bytes - sizeof head)
        return -EPROTO;
    size_t whole = sizeof head + head.length;
    if (commands->used < whole) return 0;
    memcpy(&record, commands->bytes + sizeof head, sizeof record);
    if (record.length > CW_COMMAND_MAX ||
        head.length != sizeof record + ((record.length + 3) & ~3U))
        return -EPROTO;
    command->type = record.type;
    command->size = (uint16_t)record.length;
    memcpy(command->payload, commands->bytes + sizeof head + sizeof record, record.length);
    commands->used -= whole;
    memmove(commands->bytes, commands->bytes + whole, commands->used);
    return 1;
}

int cw_command_read(int control, struct cw_commands *commands, struct cw_command *command) {
    int taken = take_command(commands, command);
    if (taken != 0) return taken;
    long size = sys_recv(control, commands->bytes + commands->used,
                         sizeof commands->bytes - commands->used, CW_MSG_DONTWAIT);
    if (size == -EAGAIN || size == -EINTR) return 0;
    if (size <= 0) return size == 0 ? -EPIPE : (int)size;
    commands->used += (size_t)size;
    return take_command(commands, command);
}

static int send_records(int control, const struct cw_outgoing *records, unsigned count,
                        int flags) {
    static const uint8_t zeros[4];
    struct head head = {CW_MAGIC, 0};
    struct record_head heads[CW_OUTGOING_MAX];
    struct iovec parts[1 + 3 * CW_OUTGOING_MAX];
    struct iovec *part = parts;
    *part++ = (struct iovec){.iov_base = &head, .iov_len = sizeof head};
    for (unsigned i = 0; i < count; i++) {
        size_t size = records[i].size;
        size_t padding = (4 - size % 4) % 4;
        heads[i] = (struct record_head){records[i].type, CW_FLAG_MUST_UNDERSTAND, (uint32_t)size};
        *part++ = (struct iovec){.iov_base = &heads[i], .iov_len = sizeof heads[i]};
        *part++ = (struct iovec){.iov_base = (void *)(uintptr_t)records[i].payload, .iov_len = size};
        *part++ = (struct iovec){.iov_base = (void *)(uintptr_t)zeros, .iov_len = padding};
        head.length += (uint32_t)(sizeof heads[i] + size + padding);
    }
    struct cw_message_header message = {.parts = parts, .part_count = (size_t)(part - parts)};
    if (control < 0) return -EPIPE;
    return (int)sys_sendmsg_flags(control, &message, flags);
}

int cw_send_record(int control, uint16_t type, const void *payload, size_t size) {
    struct cw_outgoing record = {type, payload, size};
    return send_records(control, &record, 1, 0);
}

int cw_offer_record(int control, uint16_t type, const void *payload, size_t size) {
    struct cw_outgoing record = {type, payload, size};
    return send_records(control, &record, 1, CW_MSG_DONTWAIT);
}

int cw_send_started(int control, int pid) {
    uint32_t payload = (uint32_t)pid;
    return cw_send_record(control, CW_RECORD_STARTED, &payload, sizeof payload);
}

int cw_send_fault(int control, const struct cw_fault *fault) {
    uint8_t payload[12 + sizeof fault->call + sizeof fault->detail];
    size_t call = strlen(fault->call) + 1;
    size_t detail = strlen(fault->detail) + 1;
    memcpy(payload, &fault->step, 4);
    memcpy(payload + 4, &fault->index, 4);
    memcpy(payload + 8, &fault->error, 4);
    memcpy(payload + 12, fault->call, call);
    memcpy(payload + 12 + call, fault->detail, detail);
    return cw_send_record(control, CW_RECORD_FAULT, payload, 12 + call + detail);
}

static uint64_t microseconds(const struct __kernel_old_timeval *time) {
    return (uint64_t)time->tv_sec * 1000000 + (uint64_t)time->tv_usec;
}

int cw_send_end(int control, const struct cw_outgoing *last, int status,
                const struct rusage *usage) {
    struct {
        int32_t code;
        int32_t signal;
        uint64_t user;
        uint64_t system;
        uint64_t rss;
    } payload = {
        .signal = status & 0x7f,
        .user = microseconds((const void *)&usage->ru_utime),
        .system = microseconds((const void *)&usage->ru_stime),
        .rss = (uint64_t)usage->ru_maxrss * 1024,
    };
    payload.code = payload.signal == 0 ? status >> 8 & 0xff : -1;
    struct cw_outgoing records[] = {*last, {CW_RECORD_EXITED, &payload, sizeof payload}};
    return send_records(control, records, 2, 0);
}
