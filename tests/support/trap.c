/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception */
#include "tests/support/trap.h"

#include <setjmp.h>
#include <signal.h>
#include <stddef.h>

static sigjmp_buf trap_jump;
static volatile struct Trap trap_seen;

static void trap_on_signal(int number, siginfo_t *info, void *context) {
    (void)context;
    trap_seen.signal = number;
    trap_seen.code = info->si_code;
    trap_seen.address = (uintptr_t)info->si_addr;
    siglongjmp(trap_jump, 1);
}

struct Trap trap_touch(const void *address, enum TrapAccess access) {
    struct sigaction action = {.sa_sigaction = trap_on_signal, .sa_flags = SA_SIGINFO}, segv, bus;
    volatile uint8_t *byte = (volatile uint8_t *)address;

    trap_seen.signal = trap_seen.code = 0;
    trap_seen.address = 0;
    sigaction(SIGSEGV, &action, &segv);
    sigaction(SIGBUS, &action, &bus);
    if (!sigsetjmp(trap_jump, 1)) {
        if (access == TRAP_READ)
            (void)*byte;
        else
            __atomic_fetch_or(byte, 0, __ATOMIC_RELAXED); /* a write, and changes nothing */
    }
    sigaction(SIGSEGV, &segv, NULL);
    sigaction(SIGBUS, &bus, NULL);
    return (struct Trap){trap_seen.signal, trap_seen.code, trap_seen.address};
}
