/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception */
#include "tests/support/test.h"

#include <fcntl.h>
#include <libgen.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#define OUTPUT_BYTES 65536

static int run_planted(char output[static OUTPUT_BYTES]) {
    char path[4096], command[sizeof(path) + 64];
    ssize_t n = readlink("/proc/self/exe", path, sizeof(path) - 1);
    size_t bytes;
    FILE *stream;

    cr_assert_gt(n, 0);
    path[n] = 0;
    /* Criterion tells its workers by this variable that they are ones. */
    snprintf(command, sizeof(command), "env -u BXFI_MAP %s/planted-leak -j1 --verbose 2>&1", dirname(path));
    stream = popen(command, "re");
    cr_assert_not_null(stream);
    bytes = fread(output, 1, OUTPUT_BYTES - 1, stream);
    output[bytes] = 0;
    return pclose(stream);
}

Test(leak, planted_leaks_fail_their_tests_and_only_these) {
    static char output[OUTPUT_BYTES];
    int status = run_planted(output);

    cr_assert(WIFEXITED(status) && WEXITSTATUS(status) == 1, "status %#x:\n%s", status, output);
    expect_says(output, "Tested: 4 | Passing: 1 | Failing: 3 | Crashing: 0");
    expect_says(output, "[FAIL] planted::an_fd_is_leaked");
    expect_says(output, "[FAIL] planted::a_mapping_is_leaked");
    expect_says(output, "[FAIL] planted::an_fd_is_closed_that_was_open");
    expect_says(output, "[PASS] planted::nothing_is_leaked");
    expect_says(output, "still open: fd ");
    expect_says(output, "still mapped: ");
    expect_says(output, "memfd:wasmpool-planted");
    expect_says(output, "no longer open: fd 0 ");
}

Test(leak, an_fd_number_with_another_file_behind_it_is_noticed) {
    int fd = dup(STDERR_FILENO), null;
    struct LeakMark mark;
    char report[512];

    leak_mark_init(&mark);
    null = open("/dev/null", O_RDONLY | O_CLOEXEC);
    cr_assert_eq(dup2(null, fd), fd);
    close(null);
    expect_eq(leak_compare(&mark, report, sizeof(report)), 2);
    expect_says(report, "still open: fd ");
    expect_says(report, "/dev/null");
    leak_mark_deinit(&mark);
    close(fd);
}
