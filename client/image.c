/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception */
#include "client/image.h"

#include "client/mapping.h"
#include "client/mend.h"
#include "shared/limits.h"
#include "shared/memfd.h"

#include <errno.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

/* An image that spans less than this is made however sparse it is (Wasmtime: memory_guaranteed_dense_image_size). */
#define IMAGE_DENSE_BYTES (UINT64_C(16) << 20)

/* What a module's active segments write to one memory. */
struct ImageSpan {
    uint64_t from, to; /* from > to: nothing */
    uint64_t data;     /* bytes of segments, counted as often as they are written */
};

static struct ImageSpan span_new(void) {
    return (struct ImageSpan){.from = UINT64_MAX};
}

/* Where an active segment goes, if that is the same for each instance. */
static bool segment_is_constant(const struct wasmpool_module *module, const struct ModuleData *data,
                                uint32_t *definedp) {
    uint32_t imported = module->counts.imported_memories;

    if (data->memory < imported || data->offset.kind != CONSTANT_VALUE)
        return false;
    *definedp = data->memory - imported;
    return data->offset.value + data->bytes <= module->memories[*definedp].minimum * WASM_PAGE_BYTES;
}

static void span_add(struct ImageSpan *span, const struct ModuleData *data) {
    if (!data->bytes)
        return;
    span->data += data->bytes;
    if (data->offset.value < span->from)
        span->from = data->offset.value;
    if (data->offset.value + data->bytes > span->to)
        span->to = data->offset.value + data->bytes;
}

static bool span_is_dense(const struct ImageSpan *span) {
    return span->from >= span->to || span->to - span->from < 2 * span->data ||
           span->to - span->from < IMAGE_DENSE_BYTES;
}

bool images_are_possible(const struct wasmpool_module *module) {
    struct ImageSpan spans[MODULE_MEMORIES_MAX];
    uint32_t defined;

    for (uint32_t i = 0; i < module->counts.defined_memories && i < MODULE_MEMORIES_MAX; i++)
        spans[i] = span_new();
    for (uint32_t i = 0; i < module->counts.data_segments; i++) {
        const struct ModuleData *data = &module->data[i];

        if (data->mode != SEGMENT_ACTIVE)
            continue;
        if (!segment_is_constant(module, data, &defined))
            return false;
        span_add(&spans[defined], data);
    }
    for (uint32_t i = 0; i < module->counts.defined_memories && i < MODULE_MEMORIES_MAX; i++)
        if (!span_is_dense(&spans[i]))
            return false;
    return true;
}

/* ------------------------------------------------------------------------------------------------ making one */

static bool page_is_zero(const uint8_t *page, uint64_t bytes) {
    return !page[0] && !memcmp(page, page + 1, bytes - 1);
}

/* The runs of pages that are not zero. Called twice: to count, with `extents` NULL, and to write. */
static uint32_t image_find_extents(const uint8_t *bytes, uint64_t origin, uint64_t mapped,
                                   struct ImageExtent *extents) {
    uint64_t page = host_page();
    bool inside = false;
    uint32_t n = 0;

    for (uint64_t at = 0; at < mapped; at += page) {
        bool zero = page_is_zero(bytes + at, page);

        if (!zero && !inside && extents)
            extents[n].from = origin + at;
        if (!zero && extents)
            extents[n].to = origin + at + page;
        if (zero && inside)
            n++;
        inside = !zero;
    }
    return n + inside;
}

static struct Image *image_new(const struct wasmpool_module *module, uint32_t memory, const struct ImageSpan *span) {
    uint64_t page = host_page(), origin = span->from - span->from % page;
    uint64_t mapped = (span->to - origin + page - 1) / page * page;
    struct Image *image = NULL;
    uint32_t n;
    uint8_t *bytes = mmap(NULL, mapped, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

    if (bytes == MAP_FAILED)
        return NULL;
    for (uint32_t i = 0; i < module->counts.data_segments; i++) {
        const struct ModuleData *data = &module->data[i];

        if (data->mode == SEGMENT_ACTIVE && data->memory == memory && data->bytes)
            memcpy(bytes + (data->offset.value - origin), module_data(module, data), data->bytes);
    }
    n = image_find_extents(bytes, origin, mapped, NULL);
    image = malloc(sizeof(*image) + n * sizeof(struct ImageExtent));
    if (!image || mprotect(bytes, mapped, PROT_READ)) {
        munmap(bytes, mapped);
        free(image);
        return NULL;
    }
    *image = (struct Image){.bytes = bytes, .origin = origin, .mapped = mapped, .n_extents = n};
    image_find_extents(bytes, origin, mapped, image->extents);
    image->end = n ? image->extents[n - 1].to : 0;
    return image;
}

static struct Image *image_free(struct Image *image) {
    if (image) {
        munmap(image->bytes, image->mapped);
        image_drop_file(image);
        image_use_unref(image->use);
    }
    free(image);
    return NULL;
}

int images_new(const struct wasmpool_module *module, struct Images **imagesp, struct wasmpool_error *error) {
    static _Atomic uint64_t next_id = 1;
    uint32_t count = module->counts.defined_memories;
    struct Images *images = calloc(1, sizeof(*images) + count * sizeof(struct Image *));

    if (!images)
        return failure_errno(error, -ENOMEM, "a module's images");
    images->count = count;
    images->first_id = atomic_fetch_add(&next_id, count);
    for (uint32_t i = 0; i < count; i++) {
        uint32_t memory = module->counts.imported_memories + i;
        struct ImageSpan span = span_new();

        for (uint32_t d = 0; d < module->counts.data_segments; d++)
            if (module->data[d].mode == SEGMENT_ACTIVE && module->data[d].memory == memory)
                span_add(&span, &module->data[d]);
        if (span.from >= span.to)
            continue;
        images->at[i] = image_new(module, memory, &span);
        if (!images->at[i]) {
            images_free(images);
            return failure_errno(error, -ENOMEM, "an image of a module's memory");
        }
        images->at[i]->id = images->first_id + i;
    }
    *imagesp = images;
    return 0;
}

struct Images *images_free(struct Images *images) {
    for (uint32_t i = 0; images && i < images->count; i++)
        image_free(images->at[i]);
    free(images);
    return NULL;
}

/* ------------------------------------------------------------------------------------------------ sharing one */

struct ImageUse *image_use_new(const struct Connection *connection, uint32_t id) {
    struct ImageUse *use = malloc(sizeof(*use));

    if (use)
        *use = (struct ImageUse){.connection = connection, .id = id, .n_refs = 2};
    return use;
}

struct ImageUse *image_use_unref(struct ImageUse *use) {
    if (!use || atomic_fetch_sub(&use->n_refs, 1) > 1)
        return use;
    free(use);
    return NULL;
}

void image_name(struct Image *image) {
    struct Hash hash;

    if (image->is_named)
        return;
    hash_begin(&hash, image->end);
    for (uint32_t i = 0; i < image->n_extents; i++) {
        const struct ImageExtent *extent = &image->extents[i];

        hash_add(&hash, extent->from, image->bytes + (extent->from - image->origin), extent->to - extent->from);
    }
    hash_end(&hash, image->name);
    image->is_named = true;
}

/* Not through a mapping: that would be one more thing to undo before the file can be sealed. */
int image_fill(const struct Image *image, int fd) {
    for (uint32_t i = 0; i < image->n_extents; i++)
        for (uint64_t at = image->extents[i].from; at < image->extents[i].to;) {
            ssize_t n = pwrite(fd, image->bytes + (at - image->origin), image->extents[i].to - at, (off_t)at);

            if (n < 0 && errno != EINTR)
                return -errno;
            at += n > 0 ? (uint64_t)n : 0;
        }
    return 0;
}

/* Private, though nobody writes to it: to kernels before 6.7 a shared mapping of a sealed file is one that could be
 * made writable. */
uint8_t *image_map(const struct Image *image, int fd) {
    uint64_t from = image->extents[0].from;
    uint8_t *bytes = mmap(NULL, image->end - from, PROT_READ, MAP_PRIVATE | MAP_NORESERVE, fd, (off_t)from);

    return bytes == MAP_FAILED ? NULL : bytes;
}

void image_adopt(struct Image *image, uint8_t *bytes, struct ImageUse *use) {
    munmap(image->bytes, image->mapped);
    image->bytes = bytes;
    image->origin = image->extents[0].from;
    image->mapped = image->end - image->origin;
    image->use = use;
}

void image_keep_file(struct Image *image, int fd) {
    image->has_file = true;
    image->file = fd;
}

void image_drop_file(struct Image *image) {
    if (image->has_file)
        close(image->file);
    image->has_file = false;
}

void image_move_to_file(struct Image *image) {
    uint8_t *bytes;
    int fd;

    if (memfd_new_open("wasmpool-image", image->end, &fd))
        return;
    bytes = image_fill(image, fd) || memfd_freeze(fd) ? NULL : image_map(image, fd);
    if (!bytes) {
        close(fd);
        return;
    }
    image_adopt(image, bytes, NULL);
    image_keep_file(image, fd);
}

uint64_t image_filled_bytes(const struct Image *image) {
    uint64_t bytes = 0;

    for (uint32_t i = 0; i < image->n_extents; i++)
        bytes += image->extents[i].to - image->extents[i].from;
    return bytes;
}

/* ------------------------------------------------------------------------------------------------ using one */

struct ImagePiece image_find(const struct Image *image, uint64_t from, uint64_t to, uint32_t *nextp) {
    const struct ImageExtent *extent;

    while (image && *nextp < image->n_extents && image->extents[*nextp].to <= from)
        ++*nextp;
    if (!image || *nextp == image->n_extents || image->extents[*nextp].from >= to)
        return (struct ImagePiece){.to = to};
    extent = &image->extents[*nextp];
    if (extent->from > from)
        return (struct ImagePiece){.to = extent->from};
    return (struct ImagePiece){extent->to < to ? extent->to : to, image->bytes + (from - image->origin)};
}

void image_restore(const struct Image *image, uint8_t *base, uint64_t from, uint64_t to, bool is_hole,
                   uint32_t *nextp) {
    while (from < to) {
        struct ImagePiece piece = image_find(image, from, to, nextp);

        if (piece.source)
            memcpy(base + from, piece.source, piece.to - from);
        else if (!is_hole)
            memset(base + from, 0, piece.to - from);
        from = piece.to;
    }
}

void image_mend(const struct Image *image, uint8_t *base, uint64_t bytes) {
    uint32_t next = 0;

    for (uint64_t from = 0; from < bytes;) {
        struct ImagePiece piece = image_find(image, from, bytes, &next);

        if (piece.source)
            mend_copy(base + from, piece.source, piece.to - from);
        else
            mend_zero(base + from, piece.to - from);
        from = piece.to;
    }
}

void image_copy(const struct Image *image, uint8_t *base) {
    uint32_t next = 0;

    if (image)
        image_restore(image, base, 0, image->end, true, &next);
}
