/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception */
#include "client/reader.h"
#include "tests/client/binary.h"

#include <fcntl.h>
#include <sys/stat.h>

/* Modules from files, which are read in windows. */

struct File {
    char directory[64], path[128];
};

static void file_init(struct File *file, const char *name, const void *bytes, size_t n) {
    int fd;

    strcpy(file->directory, "/tmp/wasmpool-input-XXXXXX");
    cr_assert_not_null(mkdtemp(file->directory));
    snprintf(file->path, sizeof(file->path), "%s/%s", file->directory, name);
    fd = open(file->path, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
    cr_assert_eq(write(fd, bytes, n), (ssize_t)n);
    close(fd);
}

static void file_deinit(struct File *file) {
    unlink(file->path);
    rmdir(file->directory);
}

static int read_file(const char *path, struct wasmpool_error *error) {
    struct wasmpool_module *module = NULL;
    int r = wasmpool_module_read_file(&module, path, error);

    cr_assert(!r == !!module, "%s: %d, and the module is %p", path, r, (void *)module);
    wasmpool_module_free(module);
    return r;
}

Test(input, a_file_is_read_and_named_after_itself) {
    struct wasmpool_module *module;
    struct wasmpool_error error;
    struct Bytes bytes;
    struct File file;

    put_everything(&bytes);
    file_init(&file, "photo.wasm", bytes.at, bytes.n);
    cr_assert_eq(wasmpool_module_read_file(&module, file.path, &error), 0, "%s", error.message);
    expect_str(module->label, "photo.wasm");
    expect_str(wasmpool_module_name(module), "photo.wasm");
    expect_eq(module->counts.exports, 6);
    wasmpool_module_free(module);
    SECTION(&bytes, 0, "\4name\0\5\4blur");
    file_deinit(&file);
    file_init(&file, "photo.wasm", bytes.at, bytes.n);
    cr_assert_eq(wasmpool_module_read_file(&module, file.path, &error), 0, "%s", error.message);
    expect_str(wasmpool_module_name(module), "blur");
    wasmpool_module_free(module);
    file_deinit(&file);
}

Test(input, a_file_without_a_module_is_told_apart_from_one_that_cannot_be_read) {
    struct wasmpool_error error;
    struct Bytes bytes;
    struct File file;

    put_everything(&bytes);
    file_init(&file, "empty.wasm", "", 0);
    expect_eq(read_file(file.path, &error), MALFORMED);
    expect_says(error.message, "the file is empty");
    expect_says(error.message, file.path);
    file_deinit(&file);
    file_init(&file, "half.wasm", bytes.at, 50);
    expect_eq(read_file(file.path, &error), MALFORMED);
    file_deinit(&file);
    expect_eq(read_file(file.path, &error), -ENOENT);
    expect_says(error.message, file.path);
    expect_eq(read_file("/tmp", &error), -EISDIR);
    expect_eq(read_file("/proc/self/exe", &error), MALFORMED); /* an ELF */
    expect_says(error.message, "no WebAssembly binary");
    expect_eq(read_file("/dev/null", &error), -EINVAL);
}

/* Nobody writes to it: opening it the usual way would wait for ever. */
Test(input, a_fifo_is_refused_at_once, .timeout = 10) {
    struct wasmpool_error error;
    struct File file;

    file_init(&file, "fifo", "", 0);
    unlink(file.path);
    cr_assert_eq(mkfifo(file.path, 0600), 0);
    expect_eq(read_file(file.path, &error), -EINVAL);
    file_deinit(&file);
}

Test(input, a_file_that_may_not_be_read_is_an_errno) {
    struct wasmpool_error error;
    struct File file;

    file_init(&file, "secret.wasm", HEADER, 8);
    cr_assert_eq(chmod(file.path, 0), 0);
    if (!geteuid()) /* who may read everything */
        cr_assert_eq(chmod(file.directory, 0755) + seteuid(65534), 0);
    expect_eq(read_file(file.path, &error), -EACCES);
    if (!getuid())
        cr_assert_eq(seteuid(0), 0);
    file_deinit(&file);
}

/* ------------------------------------------------------------------------------------------------ windows */

/* Every byte of a module once as the first of a window. */
Test(input, a_window_may_end_anywhere) {
    static uint8_t padded[INPUT_WINDOW_BYTES + BINARY_BYTES];
    struct wasmpool_module_counts expected;
    struct wasmpool_module *module;
    struct Bytes bytes;

    put_everything(&bytes);
    module = read_well(&bytes);
    wasmpool_module_counts(module, &expected);
    wasmpool_module_free(module);
    for (size_t i = 8; i < bytes.n; i++) {
        const size_t padding = INPUT_WINDOW_BYTES - i, body = padding - 4; /* in front, a custom section */
        const uint8_t head[] = {0, (uint8_t)(body | 0x80), (uint8_t)(body >> 7 | 0x80), (uint8_t)(body >> 14), 0};
        struct wasmpool_error error;
        struct File file;

        memset(padded, 0xff, sizeof(padded));
        memcpy(padded, bytes.at, 8);
        memcpy(padded + 8, head, sizeof(head));
        memcpy(padded + 8 + padding, bytes.at + 8, bytes.n - 8);
        file_init(&file, "padded.wasm", padded, padding + bytes.n);
        cr_assert_eq(wasmpool_module_read_file(&module, file.path, &error), 0, "byte %zu: %s", i, error.message);
        cr_expect_arr_eq(&module->counts, &expected, sizeof(expected), "byte %zu", i);
        cr_expect_arr_eq(module_data(module, &module->data[1]), "abc", 3);
        wasmpool_module_free(module);
        file_deinit(&file);
    }
}

/* Data that is larger than a window goes where it belongs without one. */
Test(input, large_data_is_read_whole) {
    const uint32_t n = 3 * INPUT_WINDOW_BYTES + 5, section = n + 5, size = 8 + 4 + section;
    uint8_t *bytes = malloc(size);
    const uint8_t head[] = {0,
                            'a',
                            's',
                            'm',
                            1,
                            0,
                            0,
                            0,
                            11,
                            (uint8_t)(section | 0x80),
                            (uint8_t)(section >> 7 | 0x80),
                            (uint8_t)(section >> 14),
                            1,
                            1,
                            (uint8_t)(n | 0x80),
                            (uint8_t)(n >> 7 | 0x80),
                            (uint8_t)(n >> 14)};
    struct wasmpool_module *module;
    struct wasmpool_error error;
    struct File file;

    for (uint32_t i = 0; i < size; i++)
        bytes[i] = (uint8_t)(i * 7 + (i >> 8));
    memcpy(bytes, head, sizeof(head));
    file_init(&file, "large.wasm", bytes, size);
    cr_assert_eq(wasmpool_module_read_file(&module, file.path, &error), 0, "%s", error.message);
    expect_eq(module->data[0].bytes, n);
    cr_expect(!memcmp(module_data(module, &module->data[0]), bytes + sizeof(head), n), "the data is another");
    wasmpool_module_free(module);
    file_deinit(&file);
    free(bytes);
}

/* ------------------------------------------------------------------------------------------------ sparse files */

/* Custom sections of nearly 4 GiB each, 100 GiB of them, and a memory section behind them. */
Test(input, a_file_far_larger_than_memory_is_stepped_through) {
    static const uint8_t head[] = {0, 0xff, 0xff, 0xff, 0xff, 0xf, 1, 'x'};
    const uint64_t each = 6 + UINT64_C(0xffffffff);
    struct wasmpool_module *module;
    struct wasmpool_error error;
    struct File file;
    uint64_t at = 8;
    int fd;

    file_init(&file, "sparse.wasm", HEADER, 8);
    fd = open(file.path, O_WRONLY | O_CLOEXEC);
    for (; at < UINT64_C(100) << 30; at += each)
        cr_assert_eq(pwrite(fd, head, sizeof(head), (off_t)at), (ssize_t)sizeof(head));
    cr_assert_eq(pwrite(fd, "\5\3\1\0\7", 5, (off_t)at), 5);
    close(fd);
    cr_assert_eq(wasmpool_module_read_file(&module, file.path, &error), 0, "%s", error.message);
    expect_eq(wasmpool_module_memory(module, 0)->minimum, 7);
    wasmpool_module_free(module);
    file_deinit(&file);
}

Test(input, a_sparse_file_of_nothing_is_malformed) {
    struct wasmpool_error error;
    struct File file;

    file_init(&file, "zeroes.wasm", HEADER, 8);
    cr_assert_eq(truncate(file.path, (off_t)(UINT64_C(100) << 30)), 0);
    expect_eq(read_file(file.path, &error), MALFORMED);
    expect_says(error.message, "at offset 0xa, custom: unexpected end");
    file_deinit(&file);
}

/* Holes are zeroes, and zeroes are data: 4 GiB of it is more than a process may be made to hold. */
Test(input, sparse_data_has_a_limit) {
    struct wasmpool_error error;
    struct File file;

    file_init(&file, "data.wasm", HEADER "\xb\xff\xff\xff\xff\xf\1\1\xf8\xff\xff\xff\xf", 21);
    cr_assert_eq(truncate(file.path, (off_t)(14 + UINT64_C(0xffffffff))), 0);
    expect_eq(read_file(file.path, &error), INVALID);
    expect_str(error.limit, "module_data_bytes");
    expect_eq(error.bound, UINT64_C(1) << 30);
    expect_eq(error.ask, UINT64_C(0xfffffff8));
    file_deinit(&file);
}

/* ------------------------------------------------------------------------------------------------ reading badly */

/* What the pread below does, and has done. */
static struct {
    const char *path;
    uint64_t bytes;         /* read */
    unsigned calls, act_at; /* the call before which to act */
    void (*act)(const char *path);
    int fails_with; /* an errno, at that call */
    size_t most;    /* bytes at a time; 0: all */
} play;

static ssize_t play_pread(int fd, void *to, size_t n, off_t offset) {
    ssize_t got;

    if (++play.calls == play.act_at && play.act)
        play.act(play.path);
    if (play.calls == play.act_at && play.fails_with) {
        errno = play.fails_with;
        return -1;
    }
    got = pread(fd, to, play.most && n > play.most ? play.most : n, offset);
    play.bytes += got > 0 ? (uint64_t)got : 0;
    return got;
}

/* Read a file through it. */
static int play_read(struct File *file, struct wasmpool_module **modulep, struct wasmpool_error *error) {
    int fd = open(file->path, O_RDONLY | O_CLOEXEC), r;
    struct Input input;

    play.path = file->path;
    expect_eq(input_init_file(&input, fd), 0);
    input.pread = play_pread;
    r = reader_read(modulep, &input, "played", error);
    close(fd);
    return r;
}

static void play_module(struct File *file) {
    struct Bytes bytes;

    memset(&play, 0, sizeof(play));
    put_everything(&bytes);
    file_init(file, "play.wasm", bytes.at, bytes.n);
}

Test(input, short_and_interrupted_reads_are_continued) {
    struct wasmpool_module *module;
    struct wasmpool_error error;
    struct File file;

    play_module(&file);
    play.most = 1;
    play.act_at = 5;
    play.fails_with = EINTR;
    cr_assert_eq(play_read(&file, &module, &error), 0, "%s", error.message);
    expect_eq(module->counts.data_segments, 3);
    wasmpool_module_free(module);
    file_deinit(&file);
}

Test(input, an_error_of_the_disk_is_an_errno) {
    struct wasmpool_module *module = NULL;
    struct wasmpool_error error;
    struct File file;

    play_module(&file);
    play.act_at = 1;
    play.fails_with = EIO;
    expect_eq(play_read(&file, &module, &error), -EIO);
    expect_eq(error.code, -EIO);
    expect_says(error.message, "at offset 0, module: Input/output error");
    cr_assert_null(module);
    file_deinit(&file);
}

/* Within a custom section, where a fault would not matter. */
Test(input, an_error_of_the_disk_in_a_name_section_is_an_errno) {
    struct wasmpool_module *module = NULL;
    struct wasmpool_error error;
    struct Bytes bytes;
    struct File file;
    int fd;

    memset(&play, 0, sizeof(play));
    begin(&bytes);
    PUT(&bytes, "\0\xed\xff\3\0"); /* up to 7 bytes before the window's end */
    file_init(&file, "play.wasm", bytes.at, bytes.n);
    fd = open(file.path, O_WRONLY | O_CLOEXEC);
    cr_assert_eq(pwrite(fd, "\0\x9\4name\0\2\1x", 11, INPUT_WINDOW_BYTES - 7), 11);
    close(fd);
    play.act_at = 2;
    play.fails_with = EIO;
    expect_eq(play_read(&file, &module, &error), -EIO);
    expect_says(error.message, "at offset 0x10000, custom: Input/output error");
    cr_assert_null(module);
    file_deinit(&file);
}

/* The bodies of 500 functions, 7 MB each, are a hole in the file. */
Test(input, bodies_are_not_read) {
    const uint32_t n = 500, body = 7000000;
    const uint64_t section = 2 + (uint64_t)n * (4 + body);
    const uint8_t size[4] = {(uint8_t)(body | 0x80), (uint8_t)(body >> 7 | 0x80), (uint8_t)(body >> 14 | 0x80),
                             (uint8_t)(body >> 21)};
    uint8_t head[8] = {10, 0, 0, 0, 0, 0, 0xf4, 3};
    struct wasmpool_module *module;
    struct wasmpool_error error;
    struct Bytes bytes;
    struct File file;
    uint64_t at;
    int fd;

    memset(&play, 0, sizeof(play));
    for (int i = 0; i < 5; i++)
        head[1 + i] = (uint8_t)(section >> (7 * i) & 0x7f) | (i < 4 ? 0x80 : 0);
    begin(&bytes);
    SECTION(&bytes, 1, TYPES);
    PUT(&bytes, "\3\xf6\3\xf4\3");
    for (uint32_t i = 0; i < n; i++)
        PUT(&bytes, "\1");
    put(&bytes, head, sizeof(head));
    file_init(&file, "bodies.wasm", bytes.at, bytes.n);
    fd = open(file.path, O_WRONLY | O_CLOEXEC);
    at = bytes.n;
    for (uint32_t i = 0; i < n; i++, at += 4 + body)
        cr_assert_eq(pwrite(fd, size, 4, (off_t)at), 4);
    cr_assert_eq(pwrite(fd, "\xb\5\1\1\2hi", 7, (off_t)at), 7);
    close(fd);
    cr_assert_eq(play_read(&file, &module, &error), 0, "%s", error.message);
    expect_eq(module->counts.defined_functions, n);
    cr_expect_arr_eq(module_data(module, &module->data[0]), "hi", 2);
    cr_assert_leq(play.bytes, INPUT_WINDOW_BYTES + (uint64_t)(n + 1) * INPUT_LEAP_BYTES);
    wasmpool_module_free(module);
    file_deinit(&file);
}

Test(input, a_body_has_a_limit) {
    struct wasmpool_error error;
    struct File file;

    /* One function, and a body of one byte more than 7654321 = 0x74cbb1. */
    file_init(&file, "body.wasm", HEADER "\1\4\1\x60\0\0\3\2\1\0\xa\xb7\x97\xd3\3\1\xb2\x97\xd3\3", 28);
    cr_assert_eq(truncate(file.path, 28 + 7654322), 0);
    expect_eq(read_file(file.path, &error), INVALID);
    expect_says(error.message, "at offset 0x18, code: 7654322 exceeds the limit module_function_bytes of 7654321");
    file_deinit(&file);
}

/* ------------------------------------------------------------------------------------------------ changing files */

static void act_grow(const char *path) {
    int fd = open(path, O_WRONLY | O_APPEND | O_CLOEXEC);

    cr_assert_eq(write(fd, "\0\1\0", 3), 3);
    close(fd);
}

static void act_shrink(const char *path) {
    cr_assert_eq(truncate(path, 20), 0);
}

static void act_rewrite(const char *path) {
    int fd = open(path, O_WRONLY | O_CLOEXEC);

    cr_assert_eq(pwrite(fd, "\0asm", 4, 0), 4);
    close(fd);
}

static void expect_busy(void (*act)(const char *path)) {
    /* Long ago, so that a clock that does not tick meanwhile cannot hide a change. */
    static const struct timespec then[2] = {{.tv_sec = 1000000000}, {.tv_sec = 1000000000}};
    struct wasmpool_module *module = NULL;
    struct wasmpool_error error;
    struct File file;

    play_module(&file);
    cr_assert_eq(utimensat(AT_FDCWD, file.path, then, 0), 0);
    play.act_at = 1;
    play.act = act;
    expect_eq(play_read(&file, &module, &error), -EBUSY);
    expect_says(error.message, "the file changes while it is read");
    cr_assert_null(module);
    file_deinit(&file);
}

Test(input, a_file_that_grows_while_it_is_read_is_refused) {
    expect_busy(act_grow);
}

Test(input, a_file_that_shrinks_while_it_is_read_is_refused) {
    expect_busy(act_shrink);
}

Test(input, a_file_that_is_written_while_it_is_read_is_refused) {
    expect_busy(act_rewrite);
}

static void act_replace(const char *path) {
    cr_assert_eq(unlink(path), 0);
}

/* What rename(2) does to the old file, and no harm. */
Test(input, a_file_that_is_replaced_while_it_is_read_is_read) {
    struct wasmpool_module *module;
    struct wasmpool_error error;
    struct File file;

    play_module(&file);
    play.act_at = 1;
    play.act = act_replace;
    cr_assert_eq(play_read(&file, &module, &error), 0, "%s", error.message);
    wasmpool_module_free(module);
    file_deinit(&file);
}
