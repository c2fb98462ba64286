/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception */
#include "tests/support/host.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static void (*host_on_fail)(const char *message);
static pid_t host_owner;

void host_set_fail(void (*fail)(const char *message)) {
    host_on_fail = fail;
    host_owner = getpid();
}

void host_fail(const char *format, ...) {
    char message[1024];
    va_list args;

    va_start(args, format);
    vsnprintf(message, sizeof(message), format, args);
    va_end(args);
    if (getpid() == host_owner)
        host_on_fail(message);
    fprintf(stderr, "FAILED in process %d: %s\n", (int)getpid(), message);
    _exit(HOST_EXIT_FAILED);
}

int64_t host_now_ms(void) {
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

void host_nap(void) {
    nanosleep(&(struct timespec){.tv_nsec = 500000}, NULL);
}

/* ------------------------------------------------------------------------------------------------ programs */

void host_find_program(char *buffer, size_t bytes, const char *name) {
    char self[512];
    ssize_t n = readlink("/proc/self/exe", self, sizeof(self) - 1);

    host_demand(n > 0, "/proc/self/exe: %s", strerror(errno));
    self[n] = 0;
    /* We are BUILD/tests/SUBJECT/test-x: what was built with the same options lies above. */
    for (char *slash = strrchr(self, '/'); slash; slash = strrchr(self, '/')) {
        *slash = 0;
        snprintf(buffer, bytes, "%s/%s", self, name);
        if (!access(buffer, X_OK))
            return;
    }
    host_fail("%s was not built", name);
}

static int run_capture(const char *name) {
    int fd = memfd_create(name, MFD_CLOEXEC);

    host_demand(fd >= 0, "memfd_create: %s", strerror(errno));
    return fd;
}

static void run_hand_over(int fd, char **textp) {
    struct stat st;

    if (textp) {
        host_demand(!fstat(fd, &st) && (*textp = calloc(1, (size_t)st.st_size + 1)), "no memory");
        host_demand(pread(fd, *textp, (size_t)st.st_size, 0) == st.st_size, "pread: %s", strerror(errno));
    }
    close(fd);
}

/* The program is opened before the change of user, to whom its path may be closed. */
static _Noreturn void run_exec(int program, const char *const *arguments, uid_t uid, int output, int errors) {
    if (dup2(output, 1) < 0 || dup2(errors, 2) < 0 || (uid && (setgid(uid) || setuid(uid))))
        _exit(HOST_EXIT_FAILED);
    fexecve(program, (char *const *)arguments, environ);
    _exit(HOST_EXIT_FAILED);
}

int host_run(const char *const *arguments, uid_t uid, char **outputp, char **errorsp) {
    char path[600];
    int output = run_capture("output"), errors = run_capture("errors"), program, status;
    pid_t pid;

    host_find_program(path, sizeof(path), arguments[0]);
    program = open(path, O_PATH | O_CLOEXEC);
    pid = fork();
    if (!pid)
        run_exec(program, arguments, uid, output, errors);
    close(program);
    status = host_join(pid);
    run_hand_over(output, outputp);
    run_hand_over(errors, errorsp);
    return status;
}

/* ------------------------------------------------------------------------------------------------ looking */

int host_count_fds(pid_t pid) {
    char path[40];
    DIR *directory;
    int n = 0;

    snprintf(path, sizeof(path), "/proc/%d/fd", (int)pid);
    directory = opendir(path);
    if (!directory)
        return -1;
    for (struct dirent *entry; (entry = readdir(directory));)
        n += *entry->d_name != '.';
    closedir(directory);
    return n;
}

uint64_t host_cpu_ns(pid_t pid) {
    unsigned long long ns = 0;
    char path[40];
    FILE *file;

    snprintf(path, sizeof(path), "/proc/%d/schedstat", (int)pid);
    file = fopen(path, "re");
    if (!file)
        return 0;
    if (fscanf(file, "%llu", &ns) != 1)
        ns = 0;
    fclose(file);
    return ns;
}

unsigned host_count_log(const struct PrivateDaemon *daemon, const char *part, const char *other) {
    FILE *file = fopen(daemon->log, "re");
    char line[2048];
    unsigned n = 0;

    if (!file)
        return 0;
    while (fgets(line, sizeof(line), file))
        n += (!part || strstr(line, part)) && (!other || strstr(line, other));
    fclose(file);
    return n;
}

/* ------------------------------------------------------------------------------------------------ children */

pid_t host_fork(void (*body)(void *), void *argument) {
    pid_t parent = getpid(), pid = fork();

    if (pid) {
        host_demand(pid > 0, "fork: %s", strerror(errno));
        return pid;
    }
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (getppid() != parent)
        _exit(HOST_EXIT_FAILED);
    body(argument);
    _exit(0);
}

int host_join(pid_t pid) {
    int status;

    while (waitpid(pid, &status, 0) < 0)
        host_demand(errno == EINTR, "waitpid: %s", strerror(errno));
    return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

void *host_share(size_t bytes) {
    void *memory = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);

    host_demand(memory != MAP_FAILED, "mmap: %s", strerror(errno));
    return memory;
}

void host_unshare(void *memory, size_t bytes) {
    munmap(memory, bytes);
}
