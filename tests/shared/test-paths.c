/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception */
#include "shared/paths.h"
#include "tests/support/test.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static void path_is(const char *directory, const char *file, const char *expected) {
    char buffer[PATHS_SOCKET_BYTES] = "untouched";

    cr_expect_eq(paths_join(buffer, sizeof(buffer), directory, file), 0);
    cr_expect_str_eq(buffer, expected, "%s and %s became %s, not %s", directory, file, buffer, expected);
}

/* Criterion runs each test in a process of its own: what it does to its user and environment stays there. */
static void become_nobody(const char *runtime_dir) {
    if (!geteuid())
        cr_assert_eq(seteuid(65534), 0, "seteuid: %s", strerror(errno));
    if (runtime_dir)
        setenv("XDG_RUNTIME_DIR", runtime_dir, 1);
    else
        unsetenv("XDG_RUNTIME_DIR");
}

Test(paths, join_puts_one_slash_in_between) {
    path_is("/run/x", "a.sock", "/run/x/a.sock");
    path_is("/run/x/", "a.sock", "/run/x/a.sock");
    path_is("/", "a.sock", "/a.sock");
}

Test(paths, join_refuses_what_does_not_fit_and_writes_nothing) {
    char buffer[8] = "before";

    cr_expect_eq(paths_join(buffer, sizeof(buffer), "/abc", "def"), -ENAMETOOLONG); /* 8 bytes and the NUL */
    cr_expect_str_eq(buffer, "before", "it is %s now", buffer);
    cr_expect_eq(paths_join(buffer, sizeof(buffer), "/abc", "de"), 0);
    cr_expect_str_eq(buffer, "/abc/de", "it is %s", buffer);
}

Test(paths, default_of_root_is_the_systems_directory) {
    char buffer[PATHS_SOCKET_BYTES];

    if (geteuid())
        cr_skip_test("only root has that default");
    setenv("XDG_RUNTIME_DIR", "/nowhere", 1);
    cr_expect_eq(paths_default(buffer, sizeof(buffer), PATHS_ADMIN), 0);
    cr_expect_str_eq(buffer, "/run/wasmpool/admin.sock", "it is %s", buffer);
}

Test(paths, default_of_others_is_beneath_their_runtime_directory) {
    char buffer[PATHS_SOCKET_BYTES];

    become_nobody("/run/user/1234");
    cr_expect_eq(paths_default(buffer, sizeof(buffer), PATHS_TENANTS), 0);
    cr_expect_str_eq(buffer, "/run/user/1234/wasmpool/wasmpool.sock", "it is %s", buffer);
}

Test(paths, default_of_others_needs_a_runtime_directory) {
    char buffer[PATHS_SOCKET_BYTES];
    int r;

    become_nobody(NULL);
    r = paths_default(buffer, sizeof(buffer), PATHS_TENANTS);
    cr_expect_eq(r, -ENOENT, "it is %d", r);
    setenv("XDG_RUNTIME_DIR", "relative", 1);
    r = paths_default(buffer, sizeof(buffer), PATHS_TENANTS);
    cr_expect_eq(r, -ENOENT, "it is %d", r);
}

Test(paths, default_refuses_a_directory_that_is_too_long) {
    char directory[PATHS_SOCKET_BYTES], buffer[PATHS_SOCKET_BYTES];
    int r;

    memset(directory, 'd', sizeof(directory) - 1);
    directory[0] = '/';
    directory[sizeof(directory) - 1] = '\0';
    become_nobody(directory);
    r = paths_default(buffer, sizeof(buffer), PATHS_TENANTS);
    cr_expect_eq(r, -ENAMETOOLONG, "it is %d", r);
}

Test(paths, find_prefers_what_is_there) {
    char directory[] = "/tmp/wasmpool-paths-XXXXXX", own_dir[64], own[80], buffer[PATHS_SOCKET_BYTES];
    int fd;

    become_nobody(NULL);
    cr_assert(mkdtemp(directory), "mkdtemp: %s", strerror(errno));
    become_nobody(directory);
    snprintf(own_dir, sizeof(own_dir), "%s/%s", directory, PATHS_USER_DIR);
    snprintf(own, sizeof(own), "%s/%s", own_dir, PATHS_TENANTS);
    cr_assert_eq(mkdir(own_dir, 0700), 0);
    fd = open(own, O_CREAT | O_WRONLY | O_CLOEXEC, 0600);
    cr_assert_geq(fd, 0);
    close(fd);
    cr_expect_eq(paths_find(buffer, sizeof(buffer), PATHS_TENANTS), 0);
    cr_expect_str_eq(buffer, own, "it is %s, not %s", buffer, own);
    unlink(own);
    rmdir(own_dir);
    rmdir(directory);
}

Test(paths, find_without_a_runtime_directory_is_the_systems) {
    char buffer[PATHS_SOCKET_BYTES];

    become_nobody(NULL);
    cr_expect_eq(paths_find(buffer, sizeof(buffer), PATHS_TENANTS), 0);
    cr_expect_str_eq(buffer, "/run/wasmpool/wasmpool.sock", "it is %s", buffer);
}
