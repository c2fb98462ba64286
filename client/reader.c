/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception */
#include "client/module.h"
#include "client/pool.h"

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

/* Reads the sections of a binary that allocation needs: type, import, function, table, memory, tag, global and export.
 * The others are stepped over, after their order and size were checked. Source: WebAssembly 2.0, 5.5 Modules.
 *
 * The first fault is recorded in the reader and ends it: everything after reads zeroes from nowhere, so that callers
 * can check once for each item. */

enum {
    SECTION_CUSTOM = 0,
    SECTION_TYPE = 1,
    SECTION_IMPORT = 2,
    SECTION_FUNCTION = 3,
    SECTION_TABLE = 4,
    SECTION_MEMORY = 5,
    SECTION_GLOBAL = 6,
    SECTION_EXPORT = 7,
    SECTION_START = 8,
    SECTION_ELEMENT = 9,
    SECTION_CODE = 10,
    SECTION_DATA = 11,
    SECTION_DATA_COUNT = 12,
    SECTION_TAG = 13,
    SECTION_N = 14,
};

static const char *const SECTION_NAMES[SECTION_N] = {
    "custom", "type",  "import",  "function", "table", "memory",     "global",
    "export", "start", "element", "code",     "data",  "data count", "tag",
};

/* Where a section stands among those that are not custom: data count before code, tag between memory and global. */
static const uint8_t SECTION_ORDER[SECTION_N] = {0, 1, 2, 3, 4, 5, 7, 8, 9, 10, 12, 13, 11, 6};

struct Reader {
    const uint8_t *start, *at, *end; /* end of the section while in one */
    const char *section;
    struct wasmpool_module *module;
    struct wasmpool_error *error;
    int result; /* 0 until the first fault */
};

static void reader_fail(struct Reader *reader, int code, const char *format, ...) __attribute__((format(printf, 3, 4)));

static void reader_fail(struct Reader *reader, int code, const char *format, ...) {
    char reason[160];
    va_list args;

    if (reader->result)
        return;
    va_start(args, format);
    vsnprintf(reason, sizeof(reason), format, args);
    va_end(args);
    reader->result = error_set(failure(reader->error), code, "at offset %#zx, %s: %s",
                               (size_t)(reader->at - reader->start), reader->section, reason);
    reader->at = reader->end;
}

static uint8_t read_byte(struct Reader *reader) {
    if (reader->at < reader->end)
        return *reader->at++;
    reader_fail(reader, ERROR_MALFORMED, "unexpected end");
    return 0;
}

/* LEB128 of at most `bits` bits; the last byte's unused bits must be zero, or copies of the sign. Section 5.2.2. */
static uint64_t read_leb(struct Reader *reader, unsigned bits, bool is_signed) {
    uint64_t value = 0;

    for (unsigned shift = 0;; shift += 7) {
        uint8_t byte = read_byte(reader), left = (uint8_t)(bits - shift);

        if (reader->result)
            return 0;
        value |= (uint64_t)(byte & 0x7f) << shift;
        if (left < 7) {
            uint8_t high = (uint8_t)(byte >> (is_signed ? left - 1 : left)),
                    ones = (uint8_t)(0x7f >> (is_signed ? left - 1 : left));

            if (byte & 0x80)
                reader_fail(reader, ERROR_MALFORMED, "integer representation too long");
            else if (high && !(is_signed && high == ones))
                reader_fail(reader, ERROR_MALFORMED, "integer too large");
            return value;
        }
        if (!(byte & 0x80))
            return value;
    }
}

static uint32_t read_u32(struct Reader *reader) {
    return (uint32_t)read_leb(reader, 32, false);
}

static const uint8_t *read_bytes(struct Reader *reader, uint64_t bytes) {
    const uint8_t *at = reader->at;

    if ((uint64_t)(reader->end - reader->at) < bytes) {
        reader_fail(reader, ERROR_MALFORMED, "unexpected end");
        return NULL;
    }
    reader->at += bytes;
    return at;
}

/* Length of the UTF-8 sequence at `at`, or 0: no surrogates, nothing over-long, nothing above 10FFFF. Section 5.2.4. */
static unsigned utf8_sequence(const uint8_t *at, size_t left) {
    static const uint32_t least[5] = {0, 0, 0x80, 0x800, 0x10000};
    unsigned n = at[0] < 0x80 ? 1 : at[0] < 0xc0 ? 0 : at[0] < 0xe0 ? 2 : at[0] < 0xf0 ? 3 : at[0] < 0xf8 ? 4 : 0;
    uint32_t point = n > 1 ? at[0] & (0x7f >> n) : at[0];

    if (!n || n > left)
        return 0;
    for (unsigned i = 1; i < n; i++) {
        if ((at[i] & 0xc0) != 0x80)
            return 0;
        point = point << 6 | (at[i] & 0x3f);
    }
    return point < least[n] || point > 0x10ffff || (point >= 0xd800 && point < 0xe000) ? 0 : n;
}

static const uint8_t *read_name(struct Reader *reader, uint32_t *bytesp) {
    uint32_t bytes = read_u32(reader);
    const uint8_t *name = read_bytes(reader, bytes);

    for (uint32_t i = 0, n; name && i < bytes; i += n) {
        n = utf8_sequence(name + i, bytes - i);
        if (!n) {
            reader_fail(reader, ERROR_MALFORMED, "malformed UTF-8 encoding");
            return NULL;
        }
    }
    *bytesp = bytes;
    return name;
}

/* ------------------------------------------------------------------------------------------------ types */

static void read_value_type(struct Reader *reader) {
    uint8_t type = read_byte(reader);

    if ((type >= 0x7b && type <= 0x7f) || type == 0x70 || type == 0x6f)
        return;
    if (type == 0x63 || type == 0x64 || (type >= 0x69 && type <= 0x74))
        reader_fail(reader, ERROR_UNSUPPORTED, "value type %#x needs the function-references or gc proposal", type);
    else
        reader_fail(reader, ERROR_MALFORMED, "malformed value type %#x", type);
}

static void read_function_type(struct Reader *reader) {
    uint8_t form = read_byte(reader);

    if (form != 0x60 && (form == 0x5e || form == 0x5f || form == 0x4e || form == 0x4f || form == 0x50))
        reader_fail(reader, ERROR_UNSUPPORTED, "type form %#x needs the gc proposal", form);
    else if (form != 0x60)
        reader_fail(reader, ERROR_MALFORMED, "malformed function type %#x", form);
    for (int list = 0; list < 2; list++)
        for (uint32_t n = read_u32(reader); n && !reader->result; n--)
            read_value_type(reader);
    reader->module->counts.types++;
}

struct ReaderLimits {
    uint64_t minimum, maximum;
    bool has_maximum, shared;
};

static struct ReaderLimits read_limits(struct Reader *reader, bool memory) {
    uint8_t flags = read_byte(reader);
    struct ReaderLimits limits = {.has_maximum = flags & 1, .shared = flags & 2};

    if (flags & 4 && flags < 16)
        reader_fail(reader, ERROR_UNSUPPORTED, "64-bit limits need the memory64 proposal");
    else if (flags & 8 && flags < 16)
        reader_fail(reader, ERROR_UNSUPPORTED, "a page size needs the custom-page-sizes proposal");
    else if (flags > 3 || (flags == 2 && memory) || (flags & 2 && !memory))
        reader_fail(reader, ERROR_MALFORMED, "malformed limits flags %#x", flags);
    limits.minimum = read_u32(reader);
    limits.maximum = limits.has_maximum ? read_u32(reader) : 0;
    if (limits.has_maximum && limits.minimum > limits.maximum)
        reader_fail(reader, ERROR_MALFORMED, "size minimum must not be greater than maximum");
    if (memory && (limits.minimum > WASM_PAGES_MAX || limits.maximum > WASM_PAGES_MAX))
        reader_fail(reader, ERROR_MALFORMED, "memory size must be at most 65536 pages (4GiB)");
    return limits;
}

static struct wasmpool_memory_type read_memory_type(struct Reader *reader) {
    struct ReaderLimits limits = read_limits(reader, true);

    return (struct wasmpool_memory_type){limits.minimum, limits.maximum, limits.has_maximum, limits.shared};
}

static enum wasmpool_reference read_reference_type(struct Reader *reader) {
    uint8_t type = read_byte(reader);

    if (type == 0x40 || type == 0x63 || type == 0x64 || (type >= 0x69 && type <= 0x74 && type != 0x6f && type != 0x70))
        reader_fail(reader, ERROR_UNSUPPORTED, "reference type %#x needs the function-references or gc proposal", type);
    else if (type != 0x70 && type != 0x6f)
        reader_fail(reader, ERROR_MALFORMED, "malformed reference type %#x", type);
    return type == 0x6f ? WASMPOOL_EXTERNREF : WASMPOOL_FUNCREF;
}

static struct wasmpool_table_type read_table_type(struct Reader *reader) {
    enum wasmpool_reference element = read_reference_type(reader);
    struct ReaderLimits limits = read_limits(reader, false);

    return (struct wasmpool_table_type){(uint32_t)limits.minimum, (uint32_t)limits.maximum, limits.has_maximum,
                                        element};
}

static void read_global_type(struct Reader *reader) {
    read_value_type(reader);
    if (read_byte(reader) > 1)
        reader_fail(reader, ERROR_MALFORMED, "malformed mutability");
}

/* A constant expression, up to and with its end; what it says is not needed for allocation. Section 3.3.10, with the
 * extended-const proposal. */
static void read_constant_expression(struct Reader *reader) {
    for (;;) {
        uint8_t opcode = read_byte(reader);

        if (reader->result || opcode == 0x0b)
            return;
        switch (opcode) {
        case 0x41: /* i32.const */
            read_leb(reader, 32, true);
            break;
        case 0x42: /* i64.const */
            read_leb(reader, 64, true);
            break;
        case 0x43: /* f32.const */
            read_bytes(reader, 4);
            break;
        case 0x44: /* f64.const */
            read_bytes(reader, 8);
            break;
        case 0x23: /* global.get */
        case 0xd2: /* ref.func */
            read_u32(reader);
            break;
        case 0xd0: /* ref.null */
            read_reference_type(reader);
            break;
        case 0x6a: case 0x6b: case 0x6c: /* i32.add, sub, mul */
        case 0x7c: case 0x7d: case 0x7e: /* i64.add, sub, mul */
            break;
        case 0xfd: /* v128.const */
            if (read_u32(reader) == 12) {
                read_bytes(reader, 16);
                break;
            }
            /* fall through */
        default:
            reader_fail(reader, ERROR_MALFORMED, "opcode %#x is not allowed in a constant expression", opcode);
        }
    }
}

/* ------------------------------------------------------------------------------------------------ sections */

static void read_type_index(struct Reader *reader) {
    uint32_t index = read_u32(reader);

    if (!reader->result && index >= reader->module->counts.types)
        reader_fail(reader, ERROR_MALFORMED, "unknown type %u", index);
}

/* Exception handling, 5.3.14 Tag Types: an attribute, 0, and a function type. */
static void read_tag_type(struct Reader *reader) {
    if (read_byte(reader) != 0)
        reader_fail(reader, ERROR_MALFORMED, "malformed tag attribute");
    read_type_index(reader);
}

static void read_import(struct Reader *reader) {
    struct wasmpool_module_counts *counts = &reader->module->counts;
    uint32_t bytes;
    uint8_t kind;

    read_name(reader, &bytes);
    read_name(reader, &bytes);
    kind = read_byte(reader);
    if (reader->result)
        return;
    switch (kind) {
    case 0:
        read_type_index(reader);
        counts->imported_functions++;
        break;
    case 1:
        read_table_type(reader);
        counts->imported_tables++;
        break;
    case 2:
        read_memory_type(reader);
        counts->imported_memories++;
        break;
    case 3:
        read_global_type(reader);
        counts->imported_globals++;
        break;
    case 4:
        read_tag_type(reader);
        counts->imported_tags++;
        break;
    default:
        reader_fail(reader, ERROR_MALFORMED, "malformed import kind %u", kind);
    }
}

static void read_export(struct Reader *reader) {
    const struct wasmpool_module_counts *counts = &reader->module->counts;
    const uint64_t sizes[5] = {
        (uint64_t)counts->imported_functions + counts->defined_functions,
        (uint64_t)counts->imported_tables + counts->defined_tables,
        (uint64_t)counts->imported_memories + counts->defined_memories,
        (uint64_t)counts->imported_globals + counts->defined_globals,
        (uint64_t)counts->imported_tags + counts->defined_tags,
    };
    uint32_t bytes, index;
    const uint8_t *name = read_name(reader, &bytes);
    uint8_t kind = read_byte(reader);

    index = read_u32(reader);
    if (reader->result)
        return;
    if (kind > 4)
        reader_fail(reader, ERROR_MALFORMED, "malformed export kind %u", kind);
    else if (index >= sizes[kind])
        reader_fail(reader, ERROR_MALFORMED, "export of unknown index %u", index);
    else if (module_add_export(reader->module, name, bytes, (enum wasmpool_external)kind, index))
        reader_fail(reader, -ENOMEM, "out of memory");
}

static void read_item(struct Reader *reader, int section) {
    struct wasmpool_memory_type memory;
    struct wasmpool_table_type table;

    switch (section) {
    case SECTION_TYPE:
        read_function_type(reader);
        break;
    case SECTION_IMPORT:
        read_import(reader);
        break;
    case SECTION_FUNCTION:
        read_type_index(reader);
        reader->module->counts.defined_functions++;
        break;
    case SECTION_TABLE:
        table = read_table_type(reader);
        if (!reader->result && module_add_table(reader->module, &table))
            reader_fail(reader, -ENOMEM, "out of memory");
        break;
    case SECTION_MEMORY:
        memory = read_memory_type(reader);
        if (!reader->result && module_add_memory(reader->module, &memory))
            reader_fail(reader, -ENOMEM, "out of memory");
        break;
    case SECTION_GLOBAL:
        read_global_type(reader);
        read_constant_expression(reader);
        reader->module->counts.defined_globals++;
        break;
    case SECTION_EXPORT:
        read_export(reader);
        break;
    case SECTION_TAG:
        read_tag_type(reader);
        reader->module->counts.defined_tags++;
        break;
    }
}

static void read_section_body(struct Reader *reader, int section) {
    uint32_t bytes;

    if (section == SECTION_CUSTOM)
        read_name(reader, &bytes);
    if (section == SECTION_CUSTOM || (section > SECTION_EXPORT && section != SECTION_TAG)) {
        if (!reader->result)
            reader->at = reader->end;
        return;
    }
    for (uint32_t n = read_u32(reader); n && !reader->result; n--)
        read_item(reader, section);
    if (!reader->result && reader->at != reader->end)
        reader_fail(reader, ERROR_MALFORMED, "section size mismatch: %zu bytes are left",
                    (size_t)(reader->end - reader->at));
}

/* One section; `*orderp` is the order of the last one that was not custom. */
static void read_section(struct Reader *reader, uint8_t *orderp) {
    const uint8_t *end = reader->end;
    uint8_t section = read_byte(reader);
    uint32_t bytes = read_u32(reader);

    if (!reader->result && section >= SECTION_N)
        reader_fail(reader, ERROR_MALFORMED, "malformed section id %u", section);
    else if (!reader->result && bytes > (size_t)(reader->end - reader->at))
        reader_fail(reader, ERROR_MALFORMED, "the %s section announces %u bytes of %zu that are left",
                    SECTION_NAMES[section], bytes, (size_t)(reader->end - reader->at));
    else if (!reader->result && section && SECTION_ORDER[section] <= *orderp)
        reader_fail(reader, ERROR_MALFORMED, "unexpected %s section, out of order", SECTION_NAMES[section]);
    if (reader->result)
        return;
    if (section)
        *orderp = SECTION_ORDER[section];
    reader->section = SECTION_NAMES[section];
    reader->end = reader->at + bytes;
    read_section_body(reader, section);
    if (reader->result)
        return;
    reader->section = "module";
    reader->end = end;
}

static void read_header(struct Reader *reader) {
    static const uint8_t magic[4] = {0, 'a', 's', 'm'};
    const uint8_t *bytes;

    if ((size_t)(reader->end - reader->at) < 4 || memcmp(reader->at, magic, 4)) {
        reader_fail(reader, ERROR_MALFORMED, "magic header not detected: this is no WebAssembly binary");
        return;
    }
    reader->at += 4;
    bytes = read_bytes(reader, 4);
    if (!bytes || (bytes[0] == 1 && !bytes[1] && !bytes[2] && !bytes[3]))
        return;
    reader->at = bytes;
    if (bytes[2] == 1)
        reader_fail(reader, ERROR_UNSUPPORTED, "this is a component, not a module (component model)");
    else
        reader_fail(reader, ERROR_MALFORMED, "unknown binary version");
}

PUBLIC int wasmpool_module_read(struct wasmpool_module **modulep, const void *bytes, size_t size,
                                struct wasmpool_error *error) {
    struct Reader reader = {.start = bytes, .at = bytes, .section = "module", .error = error};
    uint8_t order = 0;
    int r = module_new(&reader.module, NULL, error);

    if (r)
        return r;
    reader.end = reader.start + size;
    read_header(&reader);
    while (!reader.result && reader.at < reader.end)
        read_section(&reader, &order);
    if (reader.result) {
        wasmpool_module_free(reader.module);
        return reader.result;
    }
    *modulep = reader.module;
    return 0;
}

/* read(2) into private memory: a file that is truncated while it is mapped would be a SIGBUS. */
static int reader_load(int fd, size_t size, uint8_t *bytes) {
    size_t done = 0;

    while (done < size) {
        ssize_t n = read(fd, bytes + done, size - done);

        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            return n ? -errno : -EIO;
        done += (size_t)n;
    }
    return 0;
}

static int reader_read_fd(struct wasmpool_module **modulep, int fd, const char *path, struct wasmpool_error *error) {
    struct stat st;
    uint8_t *bytes;
    int r;

    if (fstat(fd, &st))
        return failure_errno(error, -errno, path);
    if (!S_ISREG(st.st_mode))
        return failure_errno(error, S_ISDIR(st.st_mode) ? -EISDIR : -EINVAL, path);
    if (!st.st_size)
        return error_set(failure(error), ERROR_MALFORMED, "%s: the file is empty", path);
    bytes = mmap(NULL, (size_t)st.st_size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (bytes == MAP_FAILED)
        return failure_errno(error, -errno, path);
    r = reader_load(fd, (size_t)st.st_size, bytes);
    if (r)
        failure_errno(error, r, path);
    else
        r = wasmpool_module_read(modulep, bytes, (size_t)st.st_size, error);
    munmap(bytes, (size_t)st.st_size);
    return r;
}

PUBLIC int wasmpool_module_read_file(struct wasmpool_module **modulep, const char *path,
                                     struct wasmpool_error *error) {
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK), r;
    const char *slash = strrchr(path, '/');

    if (fd < 0)
        return failure_errno(error, -errno, path);
    r = reader_read_fd(modulep, fd, path, error);
    close(fd);
    if (!r)
        module_label((*modulep)->label, slash ? slash + 1 : path);
    return r;
}
