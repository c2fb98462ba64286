/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception */

/* From wast2json's output to C: the commands of a .wast file as a table of functions that call wasm2c's modules.
 *
 *     generate --names FILE.json    for each module to translate: its file and the name to give wasm2c, one pair a line
 *     generate FILE.json            the program's C source, on stdout; wasm2c's headers must lie beside FILE.json
 *
 * A module that is registered bears the name it is registered as, since importers call wasm2c's functions by it; so a
 * file may register each module once. Assertions about what does not even translate are counted, not run. */

#include <ctype.h>
#include <jansson.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define MODULES_MAX 1000
#define NAME_BYTES 128

struct Module {
    const char *name_in_wast; /* "$name" or NULL */
    const char *file;
    char name[NAME_BYTES]; /* wasm2c's, mangled */
};

static struct Module modules[MODULES_MAX];
static size_t n_modules;
static json_t *commands;
static char *directory;
static size_t n_skipped;

__attribute__((noreturn)) static void die(const char *what, const char *detail) {
    fprintf(stderr, "generate: %s%s\n", what, detail);
    exit(2);
}

static const char *text_of(const json_t *object, const char *key) {
    const char *text = json_string_value(json_object_get(object, key));

    return text ? text : "";
}

/* As wasm2c mangles: letters, digits and underscore as they are, all else and Z as Z and two hexadecimal digits. */
static void mangle(const char *from, char *to, size_t bytes) {
    size_t used = 0;

    for (; *from && used + 4 < bytes; from++) {
        unsigned char c = (unsigned char)*from;

        if ((isalnum(c) && c != 'Z') || c == '_')
            to[used++] = (char)c;
        else
            used += (size_t)sprintf(to + used, "Z%02X", c);
    }
    if (*from)
        die("name too long: ", from);
    to[used] = 0;
}

/* ------------------------------------------------------------------------------------------------ modules */

static bool is_module(const char *type) {
    return !strcmp(type, "module") || !strcmp(type, "assert_uninstantiable");
}

static struct Module *module_called(const char *name_in_wast, size_t before) {
    for (size_t i = before; i-- > 0;)
        if (!*name_in_wast || (modules[i].name_in_wast && !strcmp(modules[i].name_in_wast, name_in_wast)))
            return &modules[i];
    die("no such module: ", name_in_wast);
}

static void register_module(const json_t *command) {
    struct Module *module = module_called(text_of(command, "name"), n_modules);
    char name[NAME_BYTES];

    mangle(text_of(command, "as"), name, sizeof(name));
    for (size_t i = 0; i < n_modules; i++)
        if (&modules[i] != module && !strcmp(modules[i].name, name))
            die("registered twice: ", name);
    memcpy(module->name, name, sizeof(name));
}

static void collect_modules(void) {
    json_t *command;
    size_t i;

    json_array_foreach(commands, i, command) {
        const char *type = text_of(command, "type");

        if (is_module(type)) {
            if (n_modules == MODULES_MAX)
                die("too many modules", "");
            modules[n_modules].name_in_wast = json_string_value(json_object_get(command, "name"));
            modules[n_modules].file = text_of(command, "filename");
            snprintf(modules[n_modules].name, NAME_BYTES, "module%zu", n_modules);
            n_modules++;
        } else if (!strcmp(type, "register")) {
            register_module(command);
        }
    }
}

static char *read_header(const struct Module *module) {
    static char text[1 << 20];
    char path[4096];
    size_t bytes;
    FILE *file;

    snprintf(path, sizeof(path), "%s/%.*s.h", directory, (int)(strlen(module->file) - strlen(".wasm")), module->file);
    file = fopen(path, "r");
    if (!file)
        die("cannot read ", path);
    bytes = fread(text, 1, sizeof(text) - 1, file);
    fclose(file);
    text[bytes] = 0;
    return text;
}

/* The instances that it imports from are parameters of its instantiate function, whose prototype says which. */
static void print_instantiate(const struct Module *module) {
    char prototype[NAME_BYTES + 32];
    const char *at, *end;

    snprintf(prototype, sizeof(prototype), "void Z_%s_instantiate(", module->name);
    at = strstr(read_header(module), prototype);
    if (!at)
        die("no instantiate function in the header of ", module->file);
    end = strchr(at, ')');
    printf("    Z_%s_instantiate(&Z_%s", module->name, module->name);
    while ((at = strstr(at, "struct Z_")) && at < end) {
        const char *suffix = strstr(at, "_instance_t");

        printf(", &%.*s", (int)(suffix - at - (int)strlen("struct ")), at + strlen("struct "));
        at = suffix;
    }
    printf(");\n");
}

/* ------------------------------------------------------------------------------------------------ values */

static const struct Type {
    const char *name, *letter;
} types[] = {
    {"i32", "i"}, {"i64", "j"}, {"f32", "f"}, {"f64", "d"}, {"externref", "e"}, {"funcref", "r"},
};

static const struct Type *type_of(const json_t *value) {
    const char *name = text_of(value, "type");

    for (size_t i = 0; i < sizeof(types) / sizeof(types[0]); i++)
        if (!strcmp(types[i].name, name))
            return &types[i];
    die("unknown type: ", name);
}

/* A value as C would write it as an argument. An externref is a number in the file; 0 is not null. */
static void print_argument(const json_t *value) {
    const char *type = text_of(value, "type"), *text = text_of(value, "value");

    if (!strcmp(type, "i32"))
        printf("%su", text);
    else if (!strcmp(type, "i64"))
        printf("%sull", text);
    else if (!strcmp(type, "f32"))
        printf("f32_of(%su)", text);
    else if (!strcmp(type, "f64"))
        printf("f64_of(%sull)", text);
    else if (!strcmp(type, "externref") && strcmp(text, "null"))
        printf("(wasm_rt_externref_t)(uintptr_t)(%sull + 1)", text);
    else if (!strcmp(text, "null"))
        printf("wasm_rt_%s_null_value", type);
    else
        die("a funcref other than null as an argument", "");
}

static void print_expected(const json_t *value) {
    const char *type = text_of(value, "type"), *text = text_of(value, "value");

    printf("{.type = VALUE_");
    for (const char *c = type_of(value)->name; *c; c++)
        putchar(toupper((unsigned char)*c));
    if (!strcmp(text, "nan:canonical"))
        printf(", .pattern = PATTERN_NAN_CANONICAL");
    else if (!strcmp(text, "nan:arithmetic"))
        printf(", .pattern = PATTERN_NAN_ARITHMETIC");
    else if (!strcmp(text, "null"))
        printf(", .bits = 0");
    else
        printf(", .bits = %sull%s", text, strcmp(type, "externref") ? "" : " + 1");
    printf("}, ");
}

/* ------------------------------------------------------------------------------------------------ commands */

static void print_action(const json_t *action, const json_t *expected, const struct Module *module, bool keep) {
    bool is_get = !strcmp(text_of(action, "type"), "get");
    size_t n_results = keep ? json_array_size(expected) : 0;
    char name[NAME_BYTES];
    json_t *argument;
    size_t i;

    mangle(text_of(action, "field"), name, sizeof(name));
    printf("    ");
    if (n_results == 1) {
        printf("results[0] = value_%s(", type_of(json_array_get(expected, 0))->name);
    } else if (n_results > 1) {
        printf("struct wasm_multi_");
        for (i = 0; i < n_results; i++)
            printf("%s", type_of(json_array_get(expected, i))->letter);
        printf(" all = ");
    }
    printf("%sZ_%sZ_%s(&Z_%s", is_get ? "*" : "", module->name, name, module->name);
    json_array_foreach(json_object_get(action, "args"), i, argument) {
        printf(", ");
        print_argument(argument);
    }
    printf(n_results == 1 ? "));\n" : ");\n");
    for (i = 0; n_results > 1 && i < n_results; i++) {
        const struct Type *type = type_of(json_array_get(expected, i));

        printf("    results[%zu] = value_%s(all.%s%zu);\n", i, type->name, type->letter, i);
    }
}

/* The function of a command. */
static void print_run(size_t number, const json_t *command, size_t modules_before, size_t n_modules_now) {
    const char *type = text_of(command, "type");
    const json_t *action = json_object_get(command, "action");

    printf("static void run_%zu(struct Value *results) {\n    (void)results;\n", number);
    if (is_module(type))
        print_instantiate(&modules[n_modules_now - 1]);
    else
        print_action(action, json_object_get(command, "expected"),
                     module_called(text_of(action, "module"), modules_before), !strcmp(type, "assert_return"));
    printf("}\n\n");
}

static const char *trap_of(const char *text) {
    static const char *const traps[][2] = {
        {"out of bounds", "WASM_RT_TRAP_OOB"},
        {"undefined element", "WASM_RT_TRAP_CALL_INDIRECT"},
        {"uninitialized", "WASM_RT_TRAP_CALL_INDIRECT"},
        {"indirect call", "WASM_RT_TRAP_CALL_INDIRECT"},
        {"unreachable", "WASM_RT_TRAP_UNREACHABLE"},
        {"integer divide by zero", "WASM_RT_TRAP_DIV_BY_ZERO"},
        {"integer overflow", "WASM_RT_TRAP_INT_OVERFLOW"},
        {"invalid conversion", "WASM_RT_TRAP_INVALID_CONVERSION"},
        {"call stack exhausted", "WASM_RT_TRAP_EXHAUSTION"},
    };

    for (size_t i = 0; i < sizeof(traps) / sizeof(traps[0]); i++)
        if (!strncmp(text, traps[i][0], strlen(traps[i][0])))
            return traps[i][1];
    die("unknown trap: ", text);
}

static const char *kind_of(const char *type) {
    if (!strcmp(type, "module"))
        return "COMMAND_MODULE";
    if (!strcmp(type, "action"))
        return "COMMAND_ACTION";
    return strcmp(type, "assert_return") ? "COMMAND_TRAP" : "COMMAND_RETURN";
}

static bool is_run(const char *type) {
    static const char *const runs[] = {"action", "assert_return", "assert_trap", "assert_exhaustion"};

    for (size_t i = 0; i < sizeof(runs) / sizeof(runs[0]); i++)
        if (!strcmp(type, runs[i]))
            return true;
    return is_module(type);
}

static void print_what(const json_t *command) {
    const json_t *action = json_object_get(command, "action");
    const char *text = action ? text_of(action, "field") : text_of(command, "filename");

    putchar('"');
    for (const char *c = text; *c; c++)
        printf(isalnum((unsigned char)*c) || strchr("-_. ", *c) ? "%c" : "\\%03o", (unsigned char)*c);
    putchar('"');
}

static void print_row(size_t number, const json_t *command) {
    const char *type = text_of(command, "type"), *kind = kind_of(type);
    json_t *value;
    size_t i;

    printf("    {.line = %d, .kind = %s, .run = run_%zu, .what = ",
           (int)json_integer_value(json_object_get(command, "line")), kind, number);
    print_what(command);
    if (!strcmp(kind, "COMMAND_TRAP"))
        printf(", .trap = %s", trap_of(text_of(command, "text")));
    if (!strcmp(kind, "COMMAND_RETURN")) {
        printf(", .n_results = %zu, .results = {", json_array_size(json_object_get(command, "expected")));
        json_array_foreach(json_object_get(command, "expected"), i, value)
            print_expected(value);
        printf("}");
    }
    printf("},\n");
}

static void print_functions(void) {
    size_t modules_now = 0, modules_alive = 0, i;
    json_t *command;

    json_array_foreach(commands, i, command) {
        const char *type = text_of(command, "type");

        if (!is_run(type)) {
            n_skipped += strcmp(type, "register") != 0;
            continue;
        }
        modules_now += is_module(type);
        /* What failed to instantiate is not the current module. */
        if (!strcmp(type, "module"))
            modules_alive = modules_now;
        print_run(i, command, modules_alive, modules_now);
    }
}

static void print_program(const char *source) {
    json_t *command;
    size_t i;

    printf("/* Generated from %s. */\n#include \"host.h\"\n\n", source);
    for (i = 0; i < n_modules; i++)
        printf("#include \"%.*s.h\"\n", (int)(strlen(modules[i].file) - strlen(".wasm")), modules[i].file);
    printf("\n");
    for (i = 0; i < n_modules; i++)
        printf("Z_%s_instance_t Z_%s;\n", modules[i].name, modules[i].name);
    printf("\n");
    print_functions();
    printf("static const struct Command all[] = {\n");
    json_array_foreach(commands, i, command)
        if (is_run(text_of(command, "type")))
            print_row(i, command);
    printf("};\n\nstatic void suite_init(void) {\n");
    for (i = 0; i < n_modules; i++)
        printf("    Z_%s_init_module();\n", modules[i].name);
    printf("}\n\nstatic void suite_free(void) {\n");
    for (i = n_modules; i-- > 0;)
        printf("    Z_%s_free(&Z_%s);\n", modules[i].name, modules[i].name);
    printf("}\n\nconst struct Suite suite = {\n    .name = \"%s\",\n    .commands = all,\n", source);
    printf("    .n_commands = sizeof(all) / sizeof(all[0]),\n    .n_skipped = %zu,\n", n_skipped);
    printf("    .init = suite_init,\n    .free = suite_free,\n};\n");
}

/* wast2json 1.0.32 forgets the commas between the types that a trapping call would have returned. */
static json_t *load(const char *path) {
    static const char broken[] = "}{\"type\"";
    FILE *from = fopen(path, "r");
    char *text = NULL;
    size_t bytes = 0;
    json_error_t error;
    json_t *root;

    if (!from || getdelim(&text, &bytes, 0, from) < 0)
        die("cannot read ", path);
    fclose(from);
    text = realloc(text, 2 * strlen(text) + 1);
    for (char *at = text; (at = strstr(at, broken)); at++) {
        memmove(at + 2, at + 1, strlen(at + 1) + 1);
        at[1] = ',';
    }
    root = json_loads(text, 0, &error);
    if (!root)
        die("not JSON: ", error.text);
    free(text);
    return root;
}

int main(int argc, char **argv) {
    bool names = argc == 3 && !strcmp(argv[1], "--names");
    const char *path = argv[argc - 1];
    const char *source;
    json_t *root;
    const char *slash;

    if (argc != 2 && !names)
        die("usage: generate [--names] FILE.json", "");
    root = load(path);
    slash = strrchr(path, '/');
    directory = slash ? strndup(path, (size_t)(slash - path)) : strdup(".");
    commands = json_object_get(root, "commands");
    source = strrchr(text_of(root, "source_filename"), '/');
    source = source ? source + 1 : text_of(root, "source_filename");
    collect_modules();
    if (names)
        for (size_t i = 0; i < n_modules; i++)
            printf("%s %s\n", modules[i].file, modules[i].name);
    else
        print_program(source);
    json_decref(root);
    free(directory);
    return fflush(stdout) || ferror(stdout);
}
