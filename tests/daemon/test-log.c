/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception */
#include "daemon/log.h"
#include "tests/support/test.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define composes(expected, ...)                                                                                        \
    do {                                                                                                               \
        char line_[256];                                                                                               \
        size_t length_ = log_compose(line_, sizeof(line_), __VA_ARGS__);                                               \
        cr_expect_str_eq(line_, expected, "it is <%s>, not <%s>", line_, expected);                                    \
        cr_expect_eq(length_, strlen(expected), "%zu", length_);                                                       \
    } while (0)

/* stderr as a pipe for as long as a test writes to it. Criterion reports through another descriptor. */
struct Capture {
    int stderr_fd, read_fd;
};

static void capture_begin(struct Capture *capture) {
    int pair[2];

    cr_assert_eq(pipe2(pair, O_CLOEXEC | O_NONBLOCK), 0);
    capture->stderr_fd = fcntl(STDERR_FILENO, F_DUPFD_CLOEXEC, 3);
    capture->read_fd = pair[0];
    dup2(pair[1], STDERR_FILENO);
    close(pair[1]);
}

static ssize_t capture_read(const struct Capture *capture, char *buffer, size_t bytes) {
    ssize_t n = read(capture->read_fd, buffer, bytes - 1);

    buffer[n > 0 ? n : 0] = '\0';
    return n;
}

static void capture_end(struct Capture *capture) {
    dup2(capture->stderr_fd, STDERR_FILENO);
    close(capture->stderr_fd);
    close(capture->read_fd);
}

Test(log, composes_pairs) {
    composes("a pid=-5 uid=7", "a", "pid=%d uid=%u", -5, 7U);
    composes("a big=18446744073709551615 small=-1", "a", "big=%lu small=%ld", UINT64_MAX, -1L);
    composes("a size=3 share=50%", "a", "size=%zu share=%d%%", (size_t)3, 50);
}

Test(log, quotes_what_could_be_mistaken) {
    composes("a command=python3", "a", "command=%s", "python3");
    composes("a path=/run/x/a.sock", "a", "path=%s", "/run/x/a.sock");
    composes("a command=\"\"", "a", "command=%s", "");
    composes("a command=\"two words\" uid=1", "a", "command=%s uid=%d", "two words", 1);
    composes("a command=\"x uid=0\"", "a", "command=%s", "x uid=0");
    composes("a command=\"a\\\"b\\\\c\"", "a", "command=%s", "a\"b\\c");
}

Test(log, escapes_what_a_terminal_or_a_reader_would_act_upon) {
    composes("a command=\"x\\x0a<0>panic\"", "a", "command=%s", "x\n<0>panic");
    composes("a command=\"\\x1b[31m\\xff\\x7f\"", "a", "command=%s", "\033[31m\xff\x7f");
}

Test(log, cuts_off_what_is_too_long) {
    char line[16];
    size_t length = log_compose(line, sizeof(line), "event", "text=%s", "0123456789abcdef");

    cr_expect_eq(length, 15, "%zu", length);
    cr_expect_str_eq(line, "event text=0123", "it is <%s>", line);
}

Test(log, knows_its_levels_by_name) {
    enum LogLevel level = LOG_LEVEL_INFO;

    cr_expect_eq(log_level_parse("debug", &level), 0);
    cr_expect_eq(level, LOG_LEVEL_DEBUG, "%d", (int)level);
    cr_expect_eq(log_level_parse("loud", &level), -EINVAL);
    cr_expect_eq(level, LOG_LEVEL_DEBUG, "%d", (int)level);
    cr_expect_str_eq(log_level_name(LOG_LEVEL_ERROR), "error", "%s", log_level_name(LOG_LEVEL_ERROR));
}

Test(log, writes_lines_with_time_and_level_but_none_below_the_threshold) {
    struct Capture capture;
    char text[512];

    capture_begin(&capture);
    log_init();
    log_set_level(LOG_LEVEL_NOTICE);
    log_event(LOG_LEVEL_INFO, "unheard", "n=%d", 1);
    log_event(LOG_LEVEL_NOTICE, "heard", "n=%d", 2);
    capture_read(&capture, text, sizeof(text));
    capture_end(&capture);
    cr_expect_not(strstr(text, "unheard"), "<%s>", text);
    cr_expect(strstr(text, "Z notice heard n=2\n"), "<%s>", text);
}

Test(log, writes_priorities_for_the_journal) {
    struct Capture capture;
    char text[512], stream[64];
    struct stat st;

    capture_begin(&capture);
    fstat(STDERR_FILENO, &st);
    snprintf(stream, sizeof(stream), "%llu:%llu", (unsigned long long)st.st_dev, (unsigned long long)st.st_ino);
    setenv("JOURNAL_STREAM", stream, 1);
    log_init();
    log_event(LOG_LEVEL_WARNING, "heard", "n=%d", 2);
    capture_read(&capture, text, sizeof(text));
    setenv("JOURNAL_STREAM", "1:1", 1);
    log_init();
    capture_end(&capture);
    cr_expect_str_eq(text, "<4>heard n=2\n", "<%s>", text);
}

/* Whoever reads stderr may stop: the daemon must not. */
Test(log, loses_lines_instead_of_blocking_and_says_how_many, .timeout = 20) {
    struct Capture capture;
    char text[4096];
    unsigned n_filled = 0;

    capture_begin(&capture);
    fcntl(STDERR_FILENO, F_SETFL, 0); /* as an ordinary pipe, which blocks */
    fcntl(STDERR_FILENO, F_SETPIPE_SZ, 4096);
    log_init();
    for (; n_filled < 150; n_filled++)
        log_event(LOG_LEVEL_WARNING, "filler", "text=%s", "0123456789012345678901234567890123456789");
    while (capture_read(&capture, text, sizeof(text)) > 0)
        ;
    log_event(LOG_LEVEL_WARNING, "after", "n=%d", 1);
    capture_read(&capture, text, sizeof(text));
    capture_end(&capture);
    cr_expect(strstr(text, "log-lost lines="), "<%s>", text);
    cr_expect(strstr(text, "after n=1\n") || strlen(text) < 100, "<%s>", text);
}

Test(log, bounds_what_a_flood_can_write) {
    struct Capture capture;
    char text[1 << 15];
    unsigned n_lines = 0;
    ssize_t n;

    capture_begin(&capture);
    log_init();
    for (unsigned i = 0; i < 5 * LOG_LINES_PER_SECOND_MAX; i++)
        log_event(LOG_LEVEL_WARNING, "flood", "i=%u", i);
    while ((n = capture_read(&capture, text, sizeof(text))) > 0)
        for (ssize_t i = 0; i < n; i++)
            n_lines += text[i] == '\n';
    capture_end(&capture);
    /* A second may end in between. */
    cr_expect(n_lines >= LOG_LINES_PER_SECOND_MAX && n_lines <= 2 * LOG_LINES_PER_SECOND_MAX + 1, "%u lines", n_lines);
}
