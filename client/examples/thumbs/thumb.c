/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception */
#include "thumb.h"

#include <limits.h>
#include <stdlib.h>

/* SIMD off: both builds must take the same path through the decoder. No stdio: images are bytes. */
#define STB_IMAGE_STATIC
#define STB_IMAGE_IMPLEMENTATION
#define STBI_NO_SIMD
#define STBI_NO_STDIO
#define STBI_NO_THREAD_LOCALS
#define STBI_NO_HDR
#define STBI_NO_LINEAR
#define STBI_ONLY_PNG
#define STBI_ONLY_JPEG
#define STBI_ONLY_GIF
#define STBI_ONLY_BMP
#define STB_IMAGE_RESIZE_STATIC
#define STB_IMAGE_RESIZE_IMPLEMENTATION
#define STB_IMAGE_WRITE_STATIC
#define STB_IMAGE_WRITE_IMPLEMENTATION
#define STBI_WRITE_NO_STDIO

/* stb declares as static some functions that this configuration leaves out. */
#pragma GCC diagnostic ignored "-Wunused-function"
#include <stb_image.h>
#include <stb_image_resize.h>
#include <stb_image_write.h>

struct Size {
    int width, height;
};

static struct Size fit(struct Size image, uint32_t box) {
    int longest = image.width > image.height ? image.width : image.height;
    struct Size size = image;

    if (longest <= (int)box)
        return size;
    /* Rounded; the shorter side of a very long image is still one pixel. */
    size.width = (int)(((int64_t)image.width * box + longest / 2) / longest);
    size.height = (int)(((int64_t)image.height * box + longest / 2) / longest);
    size.width = size.width ? size.width : 1;
    size.height = size.height ? size.height : 1;
    return size;
}

static int encode(struct Thumb *thumb, const uint8_t *pixels, struct Size size, int channels) {
    int png_bytes;
    uint8_t *png = stbi_write_png_to_mem(pixels, size.width * channels, size.width, size.height, channels, &png_bytes);

    if (!png) {
        thumb->why = "no memory for the thumbnail";
        return -1;
    }
    thumb->png = png;
    thumb->png_bytes = (size_t)png_bytes;
    return 0;
}

static int scale(struct Thumb *thumb, const uint8_t *pixels, struct Size image, int channels, uint32_t box) {
    int alpha = channels == 4 ? 3 : channels == 2 ? 1 : STBIR_ALPHA_CHANNEL_NONE;
    struct Size size = fit(image, box);
    uint8_t *small;
    int r;

    if (size.width == image.width && size.height == image.height)
        return encode(thumb, pixels, size, channels);
    small = malloc((size_t)size.width * (size_t)size.height * (size_t)channels);
    if (!small || !stbir_resize_uint8_srgb(pixels, image.width, image.height, 0, small, size.width, size.height, 0,
                                           channels, alpha, 0)) {
        free(small);
        thumb->why = "no memory to scale";
        return -1;
    }
    r = encode(thumb, small, size, channels);
    free(small);
    return r;
}

int thumb_make(struct Thumb *thumb, const uint8_t *bytes, size_t size, uint32_t box, uint32_t pixels_max) {
    struct Size image;
    uint8_t *pixels;
    int channels, r;

    *thumb = (struct Thumb){0};
    if (!box || box > THUMB_BOX_MAX || size > INT_MAX) {
        thumb->why = "box or file size out of range";
        return -1;
    }
    /* The header alone decides how much memory the decoder takes. */
    if (!stbi_info_from_memory(bytes, (int)size, &image.width, &image.height, &channels)) {
        thumb->why = stbi_failure_reason();
        return -1;
    }
    if (image.width < 1 || image.height < 1 || (uint64_t)image.width * (uint64_t)image.height > pixels_max) {
        thumb->why = "too many pixels";
        return -1;
    }
    pixels = stbi_load_from_memory(bytes, (int)size, &image.width, &image.height, &channels, 0);
    if (!pixels) {
        thumb->why = stbi_failure_reason();
        return -1;
    }
    r = scale(thumb, pixels, image, channels, box);
    stbi_image_free(pixels);
    return r;
}
