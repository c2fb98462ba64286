/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception */
#ifndef DAEMON_LOG_H
#define DAEMON_LOG_H

/* The daemon's log: one event to a line of stderr, as level, name and key=value pairs.
 *
 *   2026-01-31T12:00:00.000Z notice client-cut-off connection=7 pid=4242 uid=1000 why="sent two Hellos"
 *
 * Under journald the line begins with the priority instead of the time stamp and the level. The log is lossy: it
 * never blocks, never fails, and tells how many lines were dropped when it can write again. */

#include <stddef.h>

#define LOG_LINE_BYTES_MAX 1024          /* the rest is cut off; below PIPE_BUF, so that a line is written whole */
#define LOG_LINES_PER_SECOND_MAX 200     /* what clients can make the daemon say; errors come on top */

/* The priorities of syslog(3). */
enum LogLevel {
    LOG_LEVEL_ERROR = 3,
    LOG_LEVEL_WARNING = 4,
    LOG_LEVEL_NOTICE = 5,
    LOG_LEVEL_INFO = 6,
    LOG_LEVEL_DEBUG = 7,
};

/* Find out whether stderr is journald's. */
void log_init(void);
void log_set_level(enum LogLevel level); /* what is less important is not written; LOG_LEVEL_INFO from the start */

const char *log_level_name(enum LogLevel level);
/* 0, or -EINVAL when there is no level of that name. */
int log_level_parse(const char *name, enum LogLevel *levelp);

/* `format` is pairs like "pid=%d command=%s": conversions %d %u %ld %lu %lld %llu %zu %s and %%. A %s value is
 * quoted and escaped where it must be, so that no peer can forge a line or a pair. */
void log_event(enum LogLevel level, const char *event, const char *format, ...) __attribute__((format(printf, 3, 4)));

/* The event and its pairs as log_event writes them, without what comes in front. Returns the length, below `bytes`. */
size_t log_compose(char *buffer, size_t bytes, const char *event, const char *format, ...)
    __attribute__((format(printf, 4, 5)));

#endif
