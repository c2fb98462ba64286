/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception */

/* make-images DIR GIFS: fills DIR with images for the demonstration and the tests. Good ones of all kinds and sizes,
 * the GIFs of the directory GIFS, damaged ones that a decoder must reject, and four that are no images at all but
 * make the guest misbehave (guest.c): three trap, one takes for ever. */

#include <dirent.h>
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "client/examples/thumbs/job.h"
#include "client/examples/thumbs/scenes.h"

#define STB_IMAGE_WRITE_STATIC
#define STB_IMAGE_WRITE_IMPLEMENTATION
#pragma GCC diagnostic ignored "-Wunused-function"
#include <stb_image_write.h>

struct Format {
    const char *ending;
    int channels[4]; /* that it can hold */
    int channels_n;
};

static const struct Format formats[] = {
    {"png", {3, 4, 1, 2}, 4},
    {"jpg", {3, 1}, 2},
    {"bmp", {3, 4}, 2},
};
enum { FORMATS = sizeof(formats) / sizeof(formats[0]) };

static const struct {
    int width, height, count; /* of each format */
} sizes[] = {
    {1500, 1000, 1}, {1000, 1500, 1}, {1024, 768, 2}, {640, 480, 8}, {480, 640, 6}, {320, 200, 8},
    {333, 77, 3},    {64, 64, 3},     {17, 1200, 2},  {1, 1, 1},     {1, 300, 1},   {160, 160, 2},
};

static _Noreturn void fail(const char *what) {
    fprintf(stderr, "make-images: ");
    perror(what);
    exit(1);
}

static void write_file(const char *dir, const char *name, const void *bytes, size_t size) {
    char path[PATH_MAX];
    FILE *file;

    snprintf(path, sizeof(path), "%s/%s", dir, name);
    file = fopen(path, "wbe");
    if (!file || fwrite(bytes, 1, size, file) != size || fclose(file))
        fail(path);
}

static void write_scene(const char *dir, const struct Format *format, unsigned n, int width, int height) {
    int channels = format->channels[n % (unsigned)format->channels_n], ok;
    uint8_t *pixels = scene_render(n, width, height, channels);
    char path[PATH_MAX];

    if (!pixels)
        fail("memory");
    snprintf(path, sizeof(path), "%s/%03u-%dx%dx%d.%s", dir, n, width, height, channels, format->ending);
    if (!strcmp(format->ending, "png"))
        ok = stbi_write_png(path, width, height, channels, pixels, width * channels);
    else if (!strcmp(format->ending, "jpg"))
        ok = stbi_write_jpg(path, width, height, channels, pixels, 60 + (int)(n % 35));
    else
        ok = stbi_write_bmp(path, width, height, channels, pixels);
    free(pixels);
    if (!ok)
        fail(path);
}

static unsigned make_good(const char *dir) {
    unsigned n = 0;

    stbi_write_png_compression_level = 5; /* of what it is: the files only have to be valid */
    for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++)
        for (int k = 0; k < sizes[i].count * FORMATS; k++) {
            write_scene(dir, &formats[k % FORMATS], n, sizes[i].width, sizes[i].height);
            n++;
        }
    return n;
}

static unsigned copy_gifs(const char *dir, const char *gifs) {
    DIR *entries = opendir(gifs);
    struct dirent *entry;
    unsigned n = 0;

    if (!entries)
        fail(gifs);
    while ((entry = readdir(entries))) {
        size_t length = strlen(entry->d_name), size;
        char path[PATH_MAX];
        uint8_t *bytes;

        if (length < 4 || strcmp(entry->d_name + length - 4, ".gif"))
            continue;
        snprintf(path, sizeof(path), "%s/%s", gifs, entry->d_name);
        if (job_read_file(path, &bytes, &size))
            fail(path);
        write_file(dir, entry->d_name, bytes, size);
        free(bytes);
        n++;
    }
    closedir(entries);
    return n;
}

struct Buffer {
    uint8_t bytes[1 << 20];
    size_t size;
};

static void buffer_write(void *context, void *bytes, int size) {
    struct Buffer *buffer = context;
    size_t room = sizeof(buffer->bytes) - buffer->size, n = (size_t)size < room ? (size_t)size : room;

    memcpy(buffer->bytes + buffer->size, bytes, n);
    buffer->size += n;
}

/* Where things stand: PNG's IHDR at 8, its first IDAT's data at 41; BMP's width at 18, its bits per pixel at 28. */
static unsigned make_damaged(const char *dir) {
    struct Buffer *png = calloc(1, sizeof(*png)), *jpg = calloc(1, sizeof(*jpg)), *bmp = calloc(1, sizeof(*bmp));
    uint8_t *pixels = scene_render(2, 200, 150, 3);

    if (!png || !jpg || !bmp || !pixels)
        fail("memory");
    stbi_write_png_to_func(buffer_write, png, 200, 150, 3, pixels, 600);
    stbi_write_jpg_to_func(buffer_write, jpg, 200, 150, 3, pixels, 80);
    stbi_write_bmp_to_func(buffer_write, bmp, 200, 150, 3, pixels);
    write_file(dir, "damaged-cut-in-half.png", png->bytes, png->size / 2);
    write_file(dir, "damaged-cut-in-header.png", png->bytes, 20);
    write_file(dir, "damaged-cut-in-header.jpg", jpg->bytes, 100);
    write_file(dir, "damaged-cut-in-header.bmp", bmp->bytes, 30);
    write_file(dir, "damaged-empty.png", "", 0);
    write_file(dir, "damaged-text.jpg", "This is not an image.\n", 22);
    write_file(dir, "damaged-header-only.gif", "GIF89a\x10\x00\x10\x00\x80\x00\x00", 13);
    bmp->bytes[28] = 13;
    write_file(dir, "damaged-depth.bmp", bmp->bytes, bmp->size);
    memset(jpg->bytes + jpg->size / 3, 0xff, jpg->size / 3);
    write_file(dir, "damaged-middle.jpg", jpg->bytes, jpg->size);
    for (size_t i = 60; i < png->size; i += 7)
        png->bytes[i] ^= 0x55;
    write_file(dir, "damaged-data.png", png->bytes, png->size);
    memcpy(png->bytes + 16, "\x00\x00\x20\x00\x00\x00\x20\x00", 8);
    write_file(dir, "damaged-too-many-pixels.png", png->bytes, png->size);
    free(pixels);
    free(png);
    free(jpg);
    free(bmp);
    return 11;
}

static unsigned make_faults(const char *dir) {
    static const char *const names[] = {"fault-1-poke.png", "fault-2-recurse.jpg", "fault-3-loop.gif",
                                        "fault-4-assert.bmp"};
    char bytes[] = "WPTRAP0\n";

    for (unsigned i = 0; i < 4; i++) {
        bytes[6] = (char)('1' + i);
        write_file(dir, names[i], bytes, strlen(bytes));
    }
    return 4;
}

int main(int argc, char **argv) {
    unsigned good, gifs, damaged, faults;

    if (argc != 3) {
        fputs("usage: make-images DIR GIFS\n", stderr);
        return 2;
    }
    if (mkdir(argv[1], 0777) && errno != EEXIST)
        fail(argv[1]);
    good = make_good(argv[1]);
    gifs = copy_gifs(argv[1], argv[2]);
    damaged = make_damaged(argv[1]);
    faults = make_faults(argv[1]);
    printf("%u images: %u good, %u GIFs, %u damaged, %u faults\n", good + gifs + damaged + faults, good, gifs, damaged,
           faults);
    return 0;
}
