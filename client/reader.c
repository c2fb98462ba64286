/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception */
#include "client/reader.h"

#include <fcntl.h>
#include <inttypes.h>
#include <stdlib.h>
#include <unistd.h>

/* A module from a binary: its header, then its sections. Source: WebAssembly 2.0, 5.5 Modules. */

static const char *const SECTION_NAMES[SECTION_N] = {
    "custom", "type",  "import",  "function", "table", "memory",     "global",
    "export", "start", "element", "code",     "data",  "data count", "tag",
};

/* Where a section stands among those that are not custom: data count before code, tag between memory and global. */
static const uint8_t SECTION_ORDER[SECTION_N] = {0, 1, 2, 3, 4, 5, 7, 8, 9, 10, 12, 13, 11, 6};

#define NAME_SUBSECTION_MODULE 0

/* The module's name out of the "name" section. Subsections are in order, so it can only be the first. */
static void reader_read_module_name(struct Reader *reader) {
    struct Binary *binary = &reader->binary;
    uint8_t subsection = binary_byte(binary);
    uint32_t bytes = binary_u32(binary);
    size_t at = reader->names.n;

    if (binary->result || subsection != NAME_SUBSECTION_MODULE || bytes > input_left(&binary->input))
        return;
    input_bind(&binary->input, input_offset(&binary->input) + bytes);
    bytes = binary_name(binary, &reader->names);
    if (binary->result || reader->module->name || input_left(&binary->input))
        return;
    reader->module->name = strndup((const char *)reader->names.at + at, bytes);
    if (!reader->module->name)
        binary_fail_errno(binary, -ENOMEM);
}

/* Contents of custom sections cannot make a module malformed, but a file that cannot be read or memory that is short
 * ends it here too. */
static void reader_read_custom(struct Reader *reader, uint64_t end) {
    struct Binary *binary = &reader->binary;
    struct wasmpool_error *error = binary->error, ignored;
    size_t at = reader->names.n;
    uint32_t bytes = binary_name(binary, &reader->names);

    if (binary->result)
        return;
    if (bytes == 4 && !memcmp(reader->names.at + at, "name", 4)) {
        binary->error = &ignored;
        reader_read_module_name(reader);
        binary->error = error;
        if (binary->result < 0 && error)
            *error = ignored;
        if (binary->result > 0)
            binary->result = 0;
    }
    reader->names.n = at;
    if (binary->result)
        return;
    input_bind(&binary->input, end);
    input_skip(&binary->input, input_left(&binary->input));
}

/* One section; `*orderp` is the order of the last one that was not custom. */
static void reader_read_section(struct Reader *reader, uint8_t *orderp) {
    struct Binary *binary = &reader->binary;
    uint8_t section = binary_byte(binary);
    uint64_t mark = binary->mark, left;
    uint32_t bytes = binary_u32(binary);

    left = input_left(&binary->input);
    if (!binary->result)
        binary->mark = mark;
    if (section >= SECTION_N)
        binary_fail(binary, ERROR_MALFORMED, "malformed section id %u", section);
    else if (bytes > left)
        binary_fail(binary, ERROR_MALFORMED, "the %s section announces %u bytes of %" PRIu64 " that are left",
                    SECTION_NAMES[section], bytes, left);
    else if (section && SECTION_ORDER[section] <= *orderp)
        binary_fail(binary, ERROR_MALFORMED, "unexpected %s section, out of order", SECTION_NAMES[section]);
    if (binary->result)
        return;
    if (section)
        *orderp = SECTION_ORDER[section];
    binary->section = SECTION_NAMES[section];
    input_bind(&binary->input, input_offset(&binary->input) + bytes);
    if (section)
        section_read(reader, section);
    else
        reader_read_custom(reader, input_offset(&binary->input) + bytes);
    left = input_left(&binary->input);
    binary_mark(binary);
    if (left)
        binary_fail(binary, ERROR_MALFORMED, "section size mismatch: %" PRIu64 " bytes are left", left);
    if (binary->result)
        return;
    binary->section = "module";
    input_bind(&binary->input, binary->input.size);
}

static void reader_read_header(struct Reader *reader) {
    static const uint8_t magic[4] = {0, 'a', 's', 'm'};
    struct Binary *binary = &reader->binary;
    uint8_t bytes[4] = {0};

    if (input_left(&binary->input) >= 4)
        binary_bytes(binary, bytes, 4);
    if (memcmp(bytes, magic, 4))
        binary_fail(binary, ERROR_MALFORMED, "magic header not detected: this is no WebAssembly binary");
    binary_bytes(binary, bytes, 4);
    if (bytes[0] == 1 && !bytes[1] && !bytes[2] && !bytes[3])
        return;
    if (bytes[2] == 1)
        binary_fail(binary, ERROR_UNSUPPORTED, "this is a component, not a module (component model)");
    else
        binary_fail(binary, ERROR_MALFORMED, "unknown binary version");
}

/* What can be missing only at the end. */
static void reader_check_counts(struct Reader *reader) {
    struct Binary *binary = &reader->binary;
    uint32_t functions = reader->counts->defined_functions, data = reader->counts->data_segments;

    binary_mark(binary);
    if (!reader->has_code && functions)
        binary_fail(binary, ERROR_MALFORMED,
                    "function and code section have inconsistent lengths: %u functions and no bodies", functions);
    else if (reader->announced_data != MODULE_NONE && reader->announced_data != data)
        binary_fail(binary, ERROR_MALFORMED,
                    "data count and data section have inconsistent lengths: %u announced and %u there",
                    reader->announced_data, data);
}

/* ------------------------------------------------------------------------------------------------ the module */

/* Names and types lie in the order in which they were read. */
static void reader_link(struct wasmpool_module *module) {
    const uint8_t *bytes = module->type_bytes;
    const char *text = module->names;

    for (uint32_t i = 0; i < module->counts.types; i++) {
        module->types[i].parameters = bytes;
        module->types[i].results = bytes + module->types[i].n_parameters;
        bytes = module->types[i].results + module->types[i].n_results;
    }
    for (uint32_t i = 0; i < module->counts.imports; i++) {
        module->imports[i].module.text = text;
        module->imports[i].name.text = text + module->imports[i].module.bytes + 1;
        text = module->imports[i].name.text + module->imports[i].name.bytes + 1;
    }
    for (uint32_t i = 0; i < module->counts.exports; i++) {
        module->exports[i].name.text = text;
        text += module->exports[i].name.bytes + 1;
    }
}

/* Hand everything over to the module. */
static void reader_hand_over(struct Reader *reader) {
    struct wasmpool_module *module = reader->module;

    /* Types without parameters and results have arrays too. */
    if (buffer_reserve(&reader->type_bytes, 1))
        binary_fail_errno(&reader->binary, -ENOMEM);
    else if (!reader->type_bytes.n)
        reader->type_bytes.n = 1;
    module->types = buffer_steal(&reader->types);
    module->type_bytes = buffer_steal(&reader->type_bytes);
    module->functions = buffer_steal(&reader->functions);
    module->escaped = buffer_steal(&reader->escaped);
    module->table_types = buffer_steal(&reader->table_types);
    module->memory_types = buffer_steal(&reader->memory_types);
    module->globals = buffer_steal(&reader->globals);
    module->tags = buffer_steal(&reader->tags);
    module->imports = buffer_steal(&reader->imports);
    module->exports = buffer_steal(&reader->exports);
    module->names = buffer_steal(&reader->names);
    module->elements = buffer_steal(&reader->elements);
    module->items = buffer_steal(&reader->items);
    module->data = buffer_steal(&reader->data);
    module->data_bytes = buffer_steal(&reader->data_bytes);
    module->expressions = buffer_steal(&reader->expressions);
}

/* The first export, in the order of the binary, whose name is not new. */
static void reader_check_exports(struct Reader *reader) {
    struct Binary *binary = &reader->binary;
    const struct wasmpool_module *module = reader->module;
    uint32_t duplicate = MODULE_NONE;
    char name[64];

    for (uint32_t i = 1; i < module->counts.exports; i++) {
        uint32_t before = module->exports_by_name[i - 1], this = module->exports_by_name[i];

        if (this < duplicate && !module_compare_names(&module->exports[before].name, &module->exports[this].name))
            duplicate = this;
    }
    if (duplicate == MODULE_NONE)
        return;
    binary->section = SECTION_NAMES[SECTION_EXPORT];
    memcpy(&binary->mark, reader->export_marks.at + duplicate * sizeof(uint64_t), sizeof(uint64_t));
    module_print_name(&module->exports[duplicate].name, name, sizeof(name));
    binary_fail(binary, ERROR_INVALID, "duplicate export name '%s'", name);
}

static int reader_finish(struct Reader *reader) {
    struct Binary *binary = &reader->binary;
    struct wasmpool_module *module = reader->module;
    int r;

    if (!binary->result)
        reader_check_counts(reader);
    if (binary->result)
        return binary->result;
    reader_hand_over(reader);
    if (binary->result)
        return binary->result;
    reader_link(module);
    r = module_sort_exports(module, binary->error);
    if (r)
        return r;
    reader_check_exports(reader);
    if (binary->result)
        return binary->result;
    if (module->name)
        module_label(module->label, module->name);
    return module_finish(module, binary->error);
}

static void reader_deinit(struct Reader *reader) {
    struct Buffer *buffers[] = {&reader->types,       &reader->type_bytes,   &reader->functions,  &reader->escaped,
                                &reader->table_types, &reader->memory_types, &reader->globals,    &reader->tags,
                                &reader->imports,     &reader->exports,      &reader->names,      &reader->elements,
                                &reader->items,       &reader->data,         &reader->data_bytes, &reader->expressions,
                                &reader->export_marks};

    for (size_t i = 0; i < sizeof(buffers) / sizeof(buffers[0]); i++)
        buffer_deinit(buffers[i]);
    input_deinit(&reader->binary.input);
    module_destroy(reader->module);
}

int reader_read(struct wasmpool_module **modulep, struct Input *input, const char *name, struct wasmpool_error *error) {
    struct Reader reader = {.binary = {.input = *input, .section = "module", .error = error},
                            .announced_data = MODULE_NONE};
    uint8_t order = 0;
    int r = module_new(&reader.module, name, error), changed;

    if (!r) {
        reader.counts = &reader.module->counts;
        reader_read_header(&reader);
        while (!reader.binary.result && input_left(&reader.binary.input))
            reader_read_section(&reader, &order);
        r = reader_finish(&reader);
    }
    /* Also of a module with a fault: another try may do without. */
    changed = input_check(&reader.binary.input);
    if (changed)
        r = failure_errno(error, changed, changed == -EBUSY ? "the file changes while it is read" : "fstat");
    if (!r) {
        *modulep = reader.module;
        reader.module = NULL;
    }
    reader_deinit(&reader);
    return r;
}

PUBLIC int wasmpool_module_read(struct wasmpool_module **modulep, const void *bytes, size_t size,
                                struct wasmpool_error *error) {
    struct Input input;

    input_init_bytes(&input, bytes, size);
    return reader_read(modulep, &input, NULL, error);
}

static int reader_read_fd(struct wasmpool_module **modulep, int fd, const char *path, struct wasmpool_error *error) {
    const char *slash = strrchr(path, '/');
    struct Input input;
    int r = input_init_file(&input, fd);

    if (r)
        return failure_errno(error, r, path);
    if (input.size)
        return reader_read(modulep, &input, slash ? slash + 1 : path, error);
    input_deinit(&input);
    return error_set(failure(error), ERROR_MALFORMED, "%s: the file is empty", path);
}

PUBLIC int wasmpool_module_read_file(struct wasmpool_module **modulep, const char *path, struct wasmpool_error *error) {
    /* O_NONBLOCK: opening a FIFO would wait for whoever writes to it. */
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK), r;

    if (fd < 0)
        return failure_errno(error, -errno, path);
    r = reader_read_fd(modulep, fd, path, error);
    close(fd);
    return r;
}
