/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception */
#include "daemon/psi.h"
#include "tests/support/test.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static int read_from(const char *text, uint64_t *totalp) {
    char path[] = "/tmp/wasmpool-psi-XXXXXX";
    int fd = mkstemp(path), r;

    cr_assert(fd >= 0 && write(fd, text, strlen(text)) == (ssize_t)strlen(text));
    r = psi_read(path, totalp);
    close(fd);
    unlink(path);
    return r;
}

Test(psi, is_what_the_first_line_says_in_all) {
    uint64_t total_us = 0;

    expect_eq(read_from("some avg10=0.12 avg60=3.45 avg300=0.00 total=123456789012\n"
                        "full avg10=0.00 avg60=0.00 avg300=0.00 total=42\n",
                        &total_us),
              0);
    expect_eq(total_us, 123456789012);
}

Test(psi, that_is_something_else_is_refused) {
    uint64_t total_us = 4711;

    expect_eq(read_from("", &total_us), -EBADMSG);
    expect_eq(read_from("full avg10=0.00 total=42\n", &total_us), -EBADMSG);
    expect_eq(read_from("some avg10=0.00\n", &total_us), -EBADMSG);
    expect_eq(read_from("some avg10=0.00 total=many\n", &total_us), -EBADMSG);
    expect_eq(psi_read("/nonexistent/pressure", &total_us), -ENOENT);
    expect_eq(total_us, 4711);
}

Test(psi, has_no_trigger_where_there_is_none) {
    expect_eq(psi_open_trigger("/nonexistent/pressure", 10), -ENOENT);
    expect_eq(psi_open_trigger("/", 10), -EISDIR);
}

/* What this kernel does, if it can: the trigger is taken, and says nothing while nobody waits. */
Test(psi, trigger_of_the_host_is_silent_without_pressure) {
    uint64_t before_us, after_us;
    struct pollfd poll_fd = {.events = POLLPRI};

    if (psi_read(PSI_MEMORY, &before_us))
        cr_skip_test("this kernel has no PSI");
    poll_fd.fd = psi_open_trigger(PSI_MEMORY, 100);
    if (poll_fd.fd < 0)
        cr_skip_test("this kernel gives nobody without CAP_SYS_RESOURCE a trigger: %s", strerror(-poll_fd.fd));
    expect_eq(poll(&poll_fd, 1, 0), 0);
    cr_expect(fcntl(poll_fd.fd, F_GETFD) & FD_CLOEXEC);
    cr_assert_eq(psi_read(PSI_MEMORY, &after_us), 0);
    cr_expect_geq(after_us, before_us);
    close(poll_fd.fd);
}
