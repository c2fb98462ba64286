/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception */
#include "tests/bench/gang.h"

#include "tests/bench/work.h"

#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

static void gang_start(void (*member)(void *argument, unsigned self), void *argument, unsigned self) {
    pid_t parent = getpid(), pid = fork();

    if (pid < 0)
        work_fail("fork", strerror(errno));
    if (pid)
        return;
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (getppid() != parent)
        _exit(1);
    member(argument, self);
    exit(0);
}

int gang_run(unsigned n, void (*member)(void *argument, unsigned self), void *argument) {
    int status;

    for (unsigned i = 0; i < n; i++)
        gang_start(member, argument, i);
    for (unsigned i = 0; i < n; i++)
        if (wait(&status) < 0 || !WIFEXITED(status) || WEXITSTATUS(status))
            return 1;
    return 0;
}

void *gang_share(size_t bytes) {
    void *block = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);

    if (block == MAP_FAILED)
        work_fail("mmap", strerror(errno));
    return block;
}

void gang_barrier_init(pthread_barrier_t *barrier, unsigned n) {
    pthread_barrierattr_t attributes;

    pthread_barrierattr_init(&attributes);
    pthread_barrierattr_setpshared(&attributes, PTHREAD_PROCESS_SHARED);
    pthread_barrier_init(barrier, &attributes, n);
    pthread_barrierattr_destroy(&attributes);
}
