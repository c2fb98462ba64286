/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception */

/* Not a test: a test program whose tests leak and must therefore fail, all but one. test-leak.c runs it. */

#include "tests/support/test.h"

#include <sys/mman.h>
#include <unistd.h>

static void *planted_map(void) {
    int fd = memfd_create("wasmpool-planted", MFD_CLOEXEC);
    void *page;

    cr_assert_eq(ftruncate(fd, 4096), 0);
    page = mmap(NULL, 4096, PROT_READ, MAP_SHARED, fd, 0);
    cr_assert_neq(page, MAP_FAILED);
    close(fd);
    return page;
}

Test(planted, an_fd_is_leaked) {
    cr_assert_geq(dup(STDERR_FILENO), 0);
}

Test(planted, a_mapping_is_leaked) {
    planted_map();
}

Test(planted, an_fd_is_closed_that_was_open) {
    close(STDIN_FILENO);
}

Test(planted, nothing_is_leaked) {
    int fd = dup(STDERR_FILENO);

    munmap(planted_map(), 4096);
    close(fd);
}
