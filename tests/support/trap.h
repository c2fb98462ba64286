/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception */
#ifndef TESTS_SUPPORT_TRAP_H
#define TESTS_SUPPORT_TRAP_H

/* Touch an address and live to tell. Needs no test framework. One thread at a time. */

#include <stdint.h>

enum TrapAccess { TRAP_READ, TRAP_WRITE };

struct Trap {
    int signal; /* 0: none */
    int code;   /* si_code: SEGV_ACCERR where something inaccessible is mapped, SEGV_MAPERR where nothing is */
    uintptr_t address;
};

/* Read or write one byte. What was there is written, so that nothing changes. */
struct Trap trap_touch(const void *address, enum TrapAccess access);

#endif
