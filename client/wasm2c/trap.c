/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception */

/* Traps, exceptions and the signals that become traps, each thread for itself. Part of wasm-rt-impl.c.
 *
 * A fault is the guest's, and a trap, in two cases: the address lies within reach of a memory of ours, or it lies
 * beneath the calling thread's own stack where the stack pointer is. Any other fault is a bug of the host: the handler
 * that was there before gets it, or the process dies of it as if we were not here. */

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <sys/mman.h>
#include <ucontext.h>
#include <unistd.h>

#if WASM_RT_USE_STACK_DEPTH_COUNT
#error "wasmpool finds exhausted stacks by their guards: do not define WASM_RT_USE_STACK_DEPTH_COUNT"
#endif

/* The handler itself, and one that it may hand on to. */
#define SIGNAL_STACK_BYTES ((size_t)64 << 10)
/* Between a thread's guard and a frame that is larger than it; also the gap that the kernel keeps beneath a main
 * stack. */
#define STACK_GAP_BYTES ((uintptr_t)1 << 20)
/* wabt's own bound of what a tag carries. */
#define EXCEPTION_BYTES_MAX 65536

_Thread_local jmp_buf wasm_rt_jmp_buf;

static _Thread_local struct {
    WASM_RT_UNWIND_TARGET *target; /* NULL until the thread's first wasm_rt_impl_try */
    uint32_t exception_tag, exception_bytes, exception_capacity;
    void *exception;
    uintptr_t stack_low, stack_high; /* 0: not initialised */
    void *signal_stack;              /* NULL: the thread had one already */
    size_t signal_stack_bytes;
    stack_t signal_stack_before;
} thread;

static struct {
    pthread_mutex_t lock;
    atomic_bool installed;
    struct sigaction before_segv, before_bus;
} signals = {.lock = PTHREAD_MUTEX_INITIALIZER};

/* ------------------------------------------------------------------------------------------------ traps */

void wasm_rt_trap(wasm_rt_trap_t code) {
    assert(code != WASM_RT_TRAP_NONE);
#ifdef WASM_RT_TRAP_HANDLER
    WASM_RT_TRAP_HANDLER(code);
    wasm_rt_unreachable();
#else
    if (!thread.target) {
        fprintf(stderr, "wasmpool: trap outside of wasm_rt_impl_try: %s\n", wasm_rt_strerror(code));
        abort();
    }
    WASM_RT_LONGJMP(wasm_rt_jmp_buf, code);
#endif
}

const char *wasm_rt_strerror(wasm_rt_trap_t trap) {
    switch (trap) {
    case WASM_RT_TRAP_NONE:
        return "no trap";
    case WASM_RT_TRAP_OOB:
        return "access outside of a memory or table";
    case WASM_RT_TRAP_INT_OVERFLOW:
        return "integer overflow in a division or conversion";
    case WASM_RT_TRAP_DIV_BY_ZERO:
        return "integer division by zero";
    case WASM_RT_TRAP_INVALID_CONVERSION:
        return "conversion of NaN to an integer";
    case WASM_RT_TRAP_UNREACHABLE:
        return "unreachable was executed";
    case WASM_RT_TRAP_CALL_INDIRECT:
        return "call_indirect of nothing or of another type";
    case WASM_RT_TRAP_UNCAUGHT_EXCEPTION:
        return "exception that nothing catches";
    case WASM_RT_TRAP_EXHAUSTION:
        return "call stack or pool exhausted";
    }
    return "unknown trap";
}

/* ------------------------------------------------------------------------------------------------ exceptions */

uint32_t wasm_rt_register_tag(uint32_t size) {
    static atomic_uint tags;

    if (size > EXCEPTION_BYTES_MAX)
        wasm_rt_trap(WASM_RT_TRAP_EXHAUSTION);
    return atomic_fetch_add(&tags, 1);
}

/* The values may be those of the active exception itself, rethrown. The buffer is the heap's, because a thread that
 * never throws should not pay for it in the size of its stack. */
void wasm_rt_load_exception(uint32_t tag, uint32_t size, const void *values) {
    assert(size <= EXCEPTION_BYTES_MAX);
    if (size > thread.exception_capacity) {
        void *larger = malloc(size);

        if (!larger)
            wasm_rt_trap(WASM_RT_TRAP_EXHAUSTION);
        memcpy(larger, values, size);
        free(thread.exception);
        thread.exception = larger;
        thread.exception_capacity = size;
    } else if (size) {
        memmove(thread.exception, values, size);
    }
    thread.exception_tag = tag;
    thread.exception_bytes = size;
}

void wasm_rt_throw(void) {
    WASM_RT_LONGJMP(*thread.target, WASM_RT_TRAP_UNCAUGHT_EXCEPTION);
}

WASM_RT_UNWIND_TARGET *wasm_rt_get_unwind_target(void) {
    return thread.target;
}

void wasm_rt_set_unwind_target(WASM_RT_UNWIND_TARGET *target) {
    thread.target = target;
}

uint32_t wasm_rt_exception_tag(void) {
    return thread.exception_tag;
}

uint32_t wasm_rt_exception_size(void) {
    return thread.exception_bytes;
}

void *wasm_rt_exception(void) {
    return thread.exception;
}

/* ------------------------------------------------------------------------------------------------ faults */

static uintptr_t stack_pointer(const void *context, uintptr_t otherwise) {
#if defined(__x86_64__)
    (void)otherwise;
    return (uintptr_t)((const ucontext_t *)context)->uc_mcontext.gregs[REG_RSP];
#elif defined(__aarch64__)
    (void)otherwise;
    return (uintptr_t)((const ucontext_t *)context)->uc_mcontext.sp;
#else
    (void)context;
    return otherwise;
#endif
}

/* Nothing above the lowest page of a stack faults, save where the kernel refuses to extend that of the main thread. */
static bool fault_is_stack_overflow(uintptr_t address, const void *context) {
    uintptr_t pointer = stack_pointer(context, address);

    if (!thread.stack_low || address >= thread.stack_high || address < thread.stack_low - STACK_GAP_BYTES)
        return false;
    return address < pointer + STACK_GAP_BYTES && pointer < address + STACK_GAP_BYTES;
}

/* Hand the signal on. Returning without a handler in place repeats the instruction, so that the kernel ends the process
 * at the right place; only a signal that someone sent would not come again by itself. */
static void fault_hand_on(int signal, siginfo_t *info, void *context) {
    const struct sigaction *before = signal == SIGBUS ? &signals.before_bus : &signals.before_segv;
    bool sent = info->si_code <= 0;

    if (before->sa_flags & SA_SIGINFO) {
        before->sa_sigaction(signal, info, context);
    } else if (before->sa_handler != SIG_DFL && before->sa_handler != SIG_IGN) {
        before->sa_handler(signal);
    } else if (before->sa_handler == SIG_DFL || !sent) {
        sigaction(signal, &(struct sigaction){.sa_handler = SIG_DFL}, NULL);
        if (sent)
            raise(signal);
    }
}

/* Leaves the handler for good, so the kernel will not unblock the signal that it blocked for it. */
__attribute__((noreturn)) static void fault_trap(int signal, wasm_rt_trap_t code) {
    sigset_t set;

    sigemptyset(&set);
    sigaddset(&set, signal);
    pthread_sigmask(SIG_UNBLOCK, &set, NULL);
    wasm_rt_trap(code);
}

static void thread_on_fault(int signal, siginfo_t *info, void *context) {
    uintptr_t address = (uintptr_t)info->si_addr;

    if (info->si_code > 0 && thread.target) {
        if (granule_reaches(address))
            fault_trap(signal, WASM_RT_TRAP_OOB);
        if (signal == SIGSEGV && fault_is_stack_overflow(address, context))
            fault_trap(signal, WASM_RT_TRAP_EXHAUSTION);
    }
    fault_hand_on(signal, info, context);
}

/* ------------------------------------------------------------------------------------------------ threads */

static int thread_find_stack(void) {
    pthread_attr_t attributes;
    size_t bytes = 0, guard_bytes = 0;
    void *low = NULL;
    int result = pthread_getattr_np(pthread_self(), &attributes);

    if (result)
        return -result;
    result = pthread_attr_getstack(&attributes, &low, &bytes);
    if (!result)
        result = pthread_attr_getguardsize(&attributes, &guard_bytes);
    pthread_attr_destroy(&attributes);
    if (result)
        return -result;
    thread.stack_high = (uintptr_t)low + bytes;
    thread.stack_low = (uintptr_t)low - guard_bytes;
    return 0;
}

/* With a guard of its own: a handler that runs out of stack must not write over the neighbour. */
static int thread_make_signal_stack(void) {
    size_t page = (size_t)sysconf(_SC_PAGESIZE);
    size_t bytes = page + SIGNAL_STACK_BYTES + (size_t)sysconf(_SC_MINSIGSTKSZ);
    stack_t stack = {0};
    char *start;
    int result;

    bytes = (bytes + page - 1) / page * page;
    start = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_STACK, -1, 0);
    if (start == MAP_FAILED)
        return -errno;
    stack.ss_sp = start + page;
    stack.ss_size = bytes - page;
    if (mprotect(start, page, PROT_NONE) < 0 || sigaltstack(&stack, &thread.signal_stack_before) < 0) {
        result = -errno;
        munmap(start, bytes);
        return result;
    }
    thread.signal_stack = start;
    thread.signal_stack_bytes = bytes;
    return 0;
}

int wasmpool_wasm2c_thread_init(void) {
    stack_t present;
    int result;

    if (thread.stack_low)
        return 0;
    if (sigaltstack(NULL, &present) < 0)
        return -errno;
    /* A sanitizer or another runtime may have given the thread one that serves as well. */
    if (present.ss_flags & SS_DISABLE || present.ss_size < SIGNAL_STACK_BYTES / 4) {
        result = thread_make_signal_stack();
        if (result)
            return result;
    }
    return thread_find_stack();
}

void wasmpool_wasm2c_thread_free(void) {
    scope_leave();
    thread.target = NULL;
    free(thread.exception);
    thread.exception = NULL;
    thread.exception_bytes = thread.exception_capacity = 0;
    thread.stack_low = thread.stack_high = 0;
    if (!thread.signal_stack)
        return;
    sigaltstack(&thread.signal_stack_before, NULL);
    munmap(thread.signal_stack, thread.signal_stack_bytes);
    thread.signal_stack = NULL;
}

/* ------------------------------------------------------------------------------------------------ runtime */

static int signals_install(void) {
#if !WASM_RT_SKIP_SIGNAL_RECOVERY
    struct sigaction action = {.sa_sigaction = thread_on_fault, .sa_flags = SA_SIGINFO | SA_ONSTACK};

    if (sigaction(SIGSEGV, &action, &signals.before_segv) < 0 || sigaction(SIGBUS, &action, &signals.before_bus) < 0)
        return -errno;
#endif
    return 0;
}

/* Leaves alone what others have installed since. */
static void signal_restore(int signal, const struct sigaction *before) {
    struct sigaction present;

    if (!sigaction(signal, NULL, &present) && present.sa_flags & SA_SIGINFO && present.sa_sigaction == thread_on_fault)
        sigaction(signal, before, NULL);
}

void wasm_rt_init(void) {
    int result = 0;

    pthread_mutex_lock(&signals.lock);
    if (!atomic_load(&signals.installed)) {
        result = signals_install();
        atomic_store(&signals.installed, !result);
    }
    pthread_mutex_unlock(&signals.lock);
    if (!result)
        result = wasmpool_wasm2c_thread_init();
    if (result) {
        fprintf(stderr, "wasmpool: the signal handler cannot be installed: %s\n", strerror(-result));
        abort();
    }
}

bool wasm_rt_is_initialized(void) {
    return atomic_load(&signals.installed);
}

void wasm_rt_free(void) {
    pthread_mutex_lock(&signals.lock);
    if (atomic_load(&signals.installed)) {
        signal_restore(SIGSEGV, &signals.before_segv);
        signal_restore(SIGBUS, &signals.before_bus);
        atomic_store(&signals.installed, false);
    }
    pthread_mutex_unlock(&signals.lock);
    functypes_free();
    default_pool_close();
    wasmpool_wasm2c_thread_free();
}
