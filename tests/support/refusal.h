/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception */
#ifndef TESTS_SUPPORT_REFUSAL_H
#define TESTS_SUPPORT_REFUSAL_H

/* System calls that fail from now on, in this process and its children, as on an older kernel or under a sandbox: by a
 * seccomp filter. */

#include <linux/filter.h>
#include <linux/seccomp.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/prctl.h>

#define REFUSALS_MAX 8
#define REFUSAL_ANY (-1) /* argument: whatever is asked of it */

struct Refusal {
    uint32_t call;
    int argument;   /* which must have this value, in its lower half, or REFUSAL_ANY */
    uint32_t value;
    uint32_t error; /* errno */
};

/* False: no filter may be installed here, or there are too many. */
static inline bool refusals_install(const struct Refusal *refusals, unsigned n) {
    struct sock_filter code[5 * REFUSALS_MAX + 1];
    struct sock_fprog program = {0, code};

    if (n > REFUSALS_MAX)
        return false;
    for (unsigned i = 0; i < n; i++) {
        const struct Refusal *refusal = &refusals[i];
        bool any = refusal->argument == REFUSAL_ANY;
        uint32_t place = (uint32_t)(offsetof(struct seccomp_data, args) + (any ? 0 : 8 * (uint32_t)refusal->argument));
        const struct sock_filter rule[] = {
            BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
            BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, refusal->call, 0, 3),
            BPF_STMT(BPF_LD | BPF_W | BPF_ABS, place),
            BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, refusal->value, 0, any ? 0 : 1),
            BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | refusal->error),
        };

        for (unsigned j = 0; j < sizeof(rule) / sizeof(rule[0]); j++)
            code[program.len++] = rule[j];
    }
    code[program.len++] = (struct sock_filter)BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW);
    return !prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) && !prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program);
}

#endif
