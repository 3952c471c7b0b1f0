// SPDX-License-Identifier: MIT
#include "relay.h"

#include "descriptors.h"
#include "log.h"
#include "pty.h"
#include "sys.h"

#define CW_BUFFER_SIZE 32768
#define CW_PIPE_BUF 4096
#define CW_TERMINAL_ROOM 256
// What a terminal in canonical mode takes for the end of input.
#define CW_END_OF_INPUT 4

static bool is_terminal(int fd) {
    struct termios mode = {0};
    return sys_ioctl(fd, TCGETS, &mode) == 0;
}

// The caller's end, to write to without ever waiting: a description of our own where that can be
// had (pipes, terminals), since O_NONBLOCK on the caller's would show on its side too.
static int open_sink(struct cw_stream *stream, int fd) {
    char path[] = "/proc/self/fd/0";
    struct statx status = {0};
    path[sizeof path - 2] = (char)('0' + fd);
    sys_statx(fd, "", AT_EMPTY_PATH, &status);
    unsigned type = status.stx_mode & S_IFMT;
    // Opening a pty's master anew would make another pty.
    bool master = type == S_IFCHR && status.stx_rdev_major == 5 && status.stx_rdev_minor == 2;
    stream->socket = type == S_IFSOCK;
    stream->limit = CW_BUFFER_SIZE;
    if (type == S_IFIFO || (is_terminal(fd) && !master)) {
        long own = sys_openat(AT_FDCWD, path, O_WRONLY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC, 0);
        if (own >= 0) return (int)own;
        stream->limit = type == S_IFIFO ? CW_PIPE_BUF : CW_TERMINAL_ROOM;
    }
    return (int)sys_fcntl(fd, F_DUPFD_CLOEXEC, 3);
}

static int take_caller_end(struct cw_stream *stream, int fd, struct cw_fault *fault) {
    if (fd == 0)
        stream->source = (int)CW_TRY(fault, "fcntl", sys_fcntl(fd, F_DUPFD_CLOEXEC, 3));
    else
        stream->sink = (int)CW_TRY(fault, "fcntl", open_sink(stream, fd));
    return 0;
}

static int connect_by_pipe(struct cw_relay *relay, int fd, struct cw_fault *fault) {
    int pipe[2];
    struct cw_stream *stream = &relay->streams[fd];
    int error = take_caller_end(stream, fd, fault);
    if (error < 0) return error;
    CW_TRY(fault, "pipe2", sys_pipe2(pipe, O_CLOEXEC));
    int *ours = fd == 0 ? &stream->sink : &stream->source;
    *ours = fd == 0 ? pipe[1] : pipe[0];
    relay->given[fd] = fd == 0 ? pipe[0] : pipe[1];
    CW_TRY(fault, "fcntl", cw_set_nonblocking(*ours, 1));
    return 0;
}

static int add_buffers(struct cw_relay *relay, struct cw_fault *fault) {
    long memory = sys_map(3 * CW_BUFFER_SIZE);
    if (memory < 0 && memory > -4096) return cw_fail(fault, "mmap", memory);
    for (int fd = 0; fd < 3; fd++)
        relay->streams[fd].buffer = (uint8_t *)memory + fd * CW_BUFFER_SIZE;
    return 0;
}

int cw_relay_open(struct cw_relay *relay, const struct cw_config *config, struct cw_fault *fault) {
    static const char *const names[] = {"stdin", "stdout", "stderr"};
    memset(relay, 0, sizeof *relay);
    relay->allowed = config->limits.output_bytes;
    relay->log = relay->master = relay->slave = relay->terminal = -1;
    for (int fd = 0; fd < 3; fd++) {
        relay->streams[fd].source = relay->streams[fd].sink = relay->given[fd] = -1;
        relay->streams[fd].name = names[fd];
        relay->streams[fd].limit = CW_BUFFER_SIZE;
    }
    if (config->log_path != NULL) {
        relay->log = cw_log_open(config->log_path, fault);
        if (relay->log < 0) return relay->log;
    }
    cw_at(fault, CW_STEP_STDIO, CW_NO_INDEX);
    bool any = config->terminal;
    for (int fd = 0; fd < 3; fd++) {
        int error = 0;
        if (config->terminal) {
            if (fd < 2) error = take_caller_end(&relay->streams[fd], fd, fault);
        } else if (is_terminal(fd) || (fd > 0 && (relay->log >= 0 || relay->allowed != 0))) {
            error = connect_by_pipe(relay, fd, fault);
            any = true;
        }
        if (error < 0) return error;
    }
    return any ? add_buffers(relay, fault) : 0;
}

void cw_relay_settle(struct cw_relay *relay) {
    CW_AUTO_FD null = (int)sys_openat(AT_FDCWD, "/dev/null", O_RDWR | O_CLOEXEC, 0);
    for (int fd = 0; fd < 3; fd++) {
        cw_close(&relay->given[fd]);
        if (null >= 0) sys_dup3(null, fd, 0);
    }
}

int cw_relay_set_pty(struct cw_relay *relay, int master, int slave) {
    int error = cw_set_nonblocking(master, 1);
    if (error < 0) return error;
    relay->master = master;
    relay->slave = slave;
    relay->streams[0].sink = master;
    relay->streams[1].source = master;
    return 0;
}

void cw_relay_start(struct cw_relay *relay) {
    if (relay->master < 0 || relay->streams[0].source < 0) return;
    int terminal = (int)sys_fcntl(relay->streams[0].source, F_DUPFD_CLOEXEC, 3);
    if (terminal < 0) return;
    if (cw_terminal_raw(terminal, relay->terminal_state) < 0)
        sys_close(terminal);
    else
        relay->terminal = terminal;
}

static bool is_pending(const struct cw_stream *stream) { return stream->start < stream->end; }

unsigned cw_relay_poll(struct cw_relay *relay, struct pollfd *polls) {
    unsigned count = 0;
    for (int i = 0; i < 3; i++) {
        const struct cw_stream *stream = &relay->streams[i];
        bool connected = stream->source >= 0 && (i > 0 || stream->sink >= 0);
        if (is_pending(stream))
            polls[count++] = (struct pollfd){.fd = stream->sink, .events = POLLOUT};
        else if (connected)
            polls[count++] = (struct pollfd){.fd = stream->source, .events = POLLIN};
    }
    return count;
}

static void close_end(const struct cw_relay *relay, int *fd) {
    if (*fd == relay->master) *fd = -1; // both directions share it
    cw_close(fd);
}

// Nobody reads: without a log the container is to notice (EPIPE, SIGPIPE), with one it goes on.
static void lose_sink(struct cw_relay *relay, struct cw_stream *stream) {
    stream->start = stream->end = 0;
    close_end(relay, &stream->sink);
    bool input = stream == &relay->streams[0];
    if (input || (relay->log < 0 && stream->source != relay->master))
        close_end(relay, &stream->source);
}

static void flush(struct cw_relay *relay, struct cw_stream *stream) {
    if (!is_pending(stream)) return;
    if (stream->sink < 0) {
        stream->start = stream->end = 0;
        return;
    }
    const uint8_t *data = stream->buffer + stream->start;
    uint32_t size = stream->end - stream->start;
    if (size > stream->limit) size = stream->limit;
    long written = stream->socket ? sys_send(stream->sink, data, size, CW_MSG_DONTWAIT)
                                  : sys_write(stream->sink, data, size);
    if (written == -EAGAIN || written == -EINTR) return;
    if (written < 0) {
        lose_sink(relay, stream);
        return;
    }
    stream->start += (uint32_t)written;
    if (!is_pending(stream)) stream->start = stream->end = 0;
}

static void end_of_source(struct cw_relay *relay, struct cw_stream *stream) {
    close_end(relay, &stream->source);
    if (stream != &relay->streams[0]) return;
    if (stream->sink >= 0 && stream->sink == relay->master) {
        stream->buffer[0] = CW_END_OF_INPUT;
        stream->end = 1;
    } else {
        close_end(relay, &stream->sink);
    }
}

// How much of `size` bytes of output may be passed on.
static long count_output(struct cw_relay *relay, long size) {
    uint64_t before = relay->output;
    relay->output += (uint64_t)size;
    if (relay->allowed == 0 || relay->output <= relay->allowed) return size;
    relay->exceeded = true;
    return before < relay->allowed ? (long)(relay->allowed - before) : 0;
}

// Bytes read, 0 at the end, -EAGAIN.
static long fill(struct cw_relay *relay, struct cw_stream *stream) {
    long size = sys_read(stream->source, stream->buffer, CW_BUFFER_SIZE);
    if (size == -EAGAIN || size == -EINTR) return -EAGAIN;
    if (size <= 0) {
        end_of_source(relay, stream);
        return 0;
    }
    bool output = stream != &relay->streams[0];
    long passed = output ? count_output(relay, size) : size;
    stream->end = (uint32_t)passed;
    if (relay->log >= 0 && output && passed > 0)
        cw_log_write(relay->log, stream->name, stream->buffer, (size_t)passed);
    if (stream->sink < 0) stream->end = 0;
    return size;
}

static struct cw_stream *stream_of(struct cw_relay *relay, const struct pollfd *poll) {
    for (int i = 0; i < 3; i++) {
        struct cw_stream *stream = &relay->streams[i];
        int fd = poll->events == POLLOUT ? stream->sink : stream->source;
        if (fd == poll->fd && is_pending(stream) == (poll->events == POLLOUT)) return stream;
    }
    return NULL;
}

bool cw_relay_pump(struct cw_relay *relay, const struct pollfd *polls, unsigned count) {
    bool moved = false;
    for (unsigned i = 0; i < count; i++) {
        if (polls[i].revents == 0) continue;
        struct cw_stream *stream = stream_of(relay, &polls[i]);
        if (stream == NULL) continue;
        moved = true;
        if (!is_pending(stream)) fill(relay, stream);
        flush(relay, stream);
    }
    return moved;
}

bool cw_relay_drain(struct cw_relay *relay) {
    bool done = true;
    close_end(relay, &relay->streams[0].source);
    for (int i = 1; i < 3; i++) {
        struct cw_stream *stream = &relay->streams[i];
        if (stream->source < 0 && !is_pending(stream)) continue;
        while (!is_pending(stream) && stream->source >= 0) {
            long size = fill(relay, stream);
            flush(relay, stream);
            if (size != -EAGAIN) continue;
            // All slaves but ours are gone, and reading flushed the line: this was the last of it.
            if (stream->source == relay->master) close_end(relay, &stream->source);
            break;
        }
        if (is_pending(stream) || stream->source >= 0) done = false;
    }
    return done;
}

bool cw_relay_is_pending(const struct cw_relay *relay) {
    return is_pending(&relay->streams[1]) || is_pending(&relay->streams[2]);
}

void cw_relay_close(struct cw_relay *relay) {
    if (relay->terminal < 0) return;
    cw_terminal_restore(relay->terminal, relay->terminal_state);
    cw_close(&relay->terminal);
}
