/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception */
#include "daemon/log.h"

#include <assert.h>
#include <errno.h>
#include <poll.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

static struct {
    enum LogLevel level;
    bool journal;         /* stderr is journald's */
    time_t second;        /* in which `n_lines` were written */
    unsigned n_lines;
    unsigned long n_lost; /* lines not written since the last one that was */
} log_state = {.level = LOG_LEVEL_INFO};

static_assert(sizeof(long) == sizeof(long long), "text_convert reads both as one");

struct LogText {
    char *at;
    size_t bytes, length; /* room with the NUL; used without it */
};

static const struct {
    const char *name;
    enum LogLevel level;
} log_levels[] = {
    {"error", LOG_LEVEL_ERROR}, {"warning", LOG_LEVEL_WARNING}, {"notice", LOG_LEVEL_NOTICE},
    {"info", LOG_LEVEL_INFO},   {"debug", LOG_LEVEL_DEBUG},
};
#define LOG_LEVELS_N (sizeof(log_levels) / sizeof(log_levels[0]))

const char *log_level_name(enum LogLevel level) {
    for (size_t i = 0; i < LOG_LEVELS_N; i++)
        if (log_levels[i].level == level)
            return log_levels[i].name;
    return "unknown";
}

int log_level_parse(const char *name, enum LogLevel *levelp) {
    for (size_t i = 0; i < LOG_LEVELS_N; i++)
        if (!strcmp(log_levels[i].name, name)) {
            *levelp = log_levels[i].level;
            return 0;
        }
    return -EINVAL;
}

void log_set_level(enum LogLevel level) {
    log_state.level = level;
}

void log_init(void) {
    const char *stream = getenv("JOURNAL_STREAM");
    unsigned long long device, inode;
    struct stat st;

    log_state.journal = stream && sscanf(stream, "%llu:%llu", &device, &inode) == 2 && !fstat(STDERR_FILENO, &st) &&
                        st.st_dev == device && st.st_ino == inode;
}

/* -------------------------------------------------------------------------------------------------- text */

__attribute__((format(printf, 2, 3))) static void text_add(struct LogText *text, const char *format, ...) {
    va_list args;
    int n;

    va_start(args, format);
    n = vsnprintf(text->at + text->length, text->bytes - text->length, format, args);
    va_end(args);
    if (n < 0)
        return;
    text->length += (size_t)n;
    if (text->length >= text->bytes)
        text->length = text->bytes - 1;
}

static bool value_is_plain(const char *value) {
    static const char plain[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-./:@+,%()[]*";

    return *value && !value[strspn(value, plain)];
}

static void text_add_value(struct LogText *text, const char *value) {
    if (!value)
        value = "";
    if (value_is_plain(value)) {
        text_add(text, "%s", value);
        return;
    }
    text_add(text, "\"");
    for (; *value; value++) {
        unsigned char c = (unsigned char)*value;

        if (c == '"' || c == '\\')
            text_add(text, "\\%c", c);
        else if (c < 0x20 || c >= 0x7f)
            text_add(text, "\\x%02x", c);
        else
            text_add(text, "%c", c);
    }
    text_add(text, "\"");
}

/* One conversion, `format` behind its percent sign. Returns what follows it. */
static const char *text_convert(struct LogText *text, const char *format, va_list *args) {
    unsigned longs = 0;

    for (; *format == 'l'; format++)
        longs++;
    if (*format == 'z') {
        longs = 1;
        format++;
    }
    switch (*format) {
    case 's':
        text_add_value(text, va_arg(*args, const char *));
        break;
    case 'd':
        text_add(text, "%lld", longs ? va_arg(*args, long long) : va_arg(*args, int));
        break;
    case 'u':
        text_add(text, "%llu", longs ? va_arg(*args, unsigned long long) : va_arg(*args, unsigned));
        break;
    case '%':
        text_add(text, "%%");
        break;
    default: /* unknown: the arguments behind it cannot be found either */
        text_add(text, "?");
        return "";
    }
    return format + 1;
}

static void text_add_pairs(struct LogText *text, const char *format, va_list *args) {
    while (*format) {
        size_t n = strcspn(format, "%");

        text_add(text, "%.*s", (int)n, format);
        format += n;
        if (*format)
            format = text_convert(text, format + 1, args);
    }
}

static void text_add_event(struct LogText *text, const char *event, const char *format, va_list *args) {
    text_add(text, "%s%s", event, *format ? " " : "");
    text_add_pairs(text, format, args);
}

size_t log_compose(char *buffer, size_t bytes, const char *event, const char *format, ...) {
    struct LogText text = {.at = buffer, .bytes = bytes};
    va_list args;

    va_start(args, format);
    text_add_event(&text, event, format, &args);
    va_end(args);
    return text.length;
}

/* -------------------------------------------------------------------------------------------------- lines */

static void text_add_front(struct LogText *text, enum LogLevel level, const struct timespec *now) {
    char stamp[32];
    struct tm tm;

    if (log_state.journal) {
        text_add(text, "<%d>", (int)level);
        return;
    }
    gmtime_r(&now->tv_sec, &tm);
    strftime(stamp, sizeof(stamp), "%Y-%m-%dT%H:%M:%S", &tm);
    text_add(text, "%s.%03ldZ %s ", stamp, now->tv_nsec / 1000000, log_level_name(level));
}

/* Whoever reads stderr may have stopped: a line that would block is lost. POLLOUT means room for PIPE_BUF bytes. */
static bool line_write(const char *line, size_t length) {
    struct pollfd poll_stderr = {.fd = STDERR_FILENO, .events = POLLOUT};

    if (poll(&poll_stderr, 1, 0) != 1 || !(poll_stderr.revents & POLLOUT))
        return false;
    return write(STDERR_FILENO, line, length) == (ssize_t)length;
}

static bool line_may_be_written(time_t second) {
    if (second != log_state.second) {
        log_state.second = second;
        log_state.n_lines = 0;
    }
    return log_state.n_lines++ < LOG_LINES_PER_SECOND_MAX;
}

static void log_report_lost(const struct timespec *now) {
    char line[LOG_LINE_BYTES_MAX];
    struct LogText text = {.at = line, .bytes = sizeof(line)};

    text_add_front(&text, LOG_LEVEL_WARNING, now);
    text_add(&text, "log-lost lines=%lu\n", log_state.n_lost);
    if (line_write(line, text.length))
        log_state.n_lost = 0;
}

void log_event(enum LogLevel level, const char *event, const char *format, ...) {
    char line[LOG_LINE_BYTES_MAX + 1];
    struct LogText text = {.at = line, .bytes = sizeof(line) - 1};
    struct timespec now;
    va_list args;

    if (level > log_state.level)
        return;
    clock_gettime(CLOCK_REALTIME, &now);
    if (!line_may_be_written(now.tv_sec) && level > LOG_LEVEL_ERROR) {
        log_state.n_lost++;
        return;
    }
    if (log_state.n_lost)
        log_report_lost(&now);
    text_add_front(&text, level, &now);
    va_start(args, format);
    text_add_event(&text, event, format, &args);
    va_end(args);
    line[text.length++] = '\n';
    if (!line_write(line, text.length))
        log_state.n_lost++;
}
