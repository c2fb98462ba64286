/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception */
#include "client/examples/thumbs/scenes.h"

#include <stdlib.h>

/* x and y go from 0 to 1 over the longer side. */
struct Colour {
    double red, green, blue, alpha;
};

static struct Colour sky(double x, double y) {
    double sun = (x - 0.7) * (x - 0.7) + (y - 0.25) * (y - 0.25);

    if (sun < 0.006)
        return (struct Colour){1, 0.95, 0.7, 1};
    return (struct Colour){0.3 + 0.6 * y, 0.5 + 0.3 * y, 1 - 0.3 * y, 1 - y / 2};
}

static struct Colour tiles(double x, double y) {
    int odd = ((int)(x * 12) + (int)(y * 12)) & 1;

    return odd ? (struct Colour){0.9, 0.9, 0.85, 1} : (struct Colour){0.1 + x / 2, 0.2, 0.3 + y / 2, 0.6};
}

static struct Colour mandelbrot(double x, double y) {
    double a = 0, b = 0, real = 2.8 * x - 2.1, imaginary = 2.8 * y - 1;
    int n;

    for (n = 0; n < 60 && a * a + b * b < 4; n++) {
        double next = a * a - b * b + real;

        b = 2 * a * b + imaginary;
        a = next;
    }
    return (struct Colour){n / 60.0, (n * 7 % 60) / 60.0, (n * 13 % 60) / 60.0, n == 60 ? 0.3 : 1};
}

static struct Colour hills(double x, double y) {
    double wave = x * 6 - (int)(x * 6), ridge = 0.35 + wave * (1 - wave);

    if (y < ridge)
        return (struct Colour){0.95 - y, 0.75 - y / 2, 0.6 + x / 4, 1};
    return (struct Colour){0.1, 0.6 - y / 2, 0.15 + wave / 4, 1};
}

static struct Colour grain(double x, double y) {
    /* Noise that hardly compresses: a hash of the point. */
    uint32_t h = (uint32_t)(x * 1500) * 374761393U + (uint32_t)(y * 1500) * 668265263U;

    h = (h ^ (h >> 13)) * 1274126177U;
    return (struct Colour){(h & 255) / 255.0 * 0.3 + x * 0.7, (h >> 8 & 255) / 255.0 * 0.3 + y * 0.7,
                           (h >> 16 & 255) / 255.0 * 0.5, 1 - x / 2};
}

static uint8_t byte(double value) {
    return value < 0 ? 0 : value > 1 ? 255 : (uint8_t)(value * 255 + 0.5);
}

static void store(uint8_t *pixel, const struct Colour *colour, int channels) {
    if (channels < 3) {
        pixel[0] = byte(0.3 * colour->red + 0.6 * colour->green + 0.1 * colour->blue);
    } else {
        pixel[0] = byte(colour->red);
        pixel[1] = byte(colour->green);
        pixel[2] = byte(colour->blue);
    }
    if (channels == 2 || channels == 4)
        pixel[channels - 1] = byte(colour->alpha);
}

uint8_t *scene_render(unsigned scene, int width, int height, int channels) {
    static struct Colour (*const scenes[SCENES])(double, double) = {sky, tiles, mandelbrot, hills, grain};
    uint8_t *pixels = malloc((size_t)width * (size_t)height * (size_t)channels);
    double longer = width > height ? width : height;

    if (!pixels)
        return NULL;
    for (int y = 0; y < height; y++)
        for (int x = 0; x < width; x++) {
            struct Colour colour = scenes[scene % SCENES](x / longer, y / longer);

            store(pixels + ((size_t)y * (size_t)width + (size_t)x) * (size_t)channels, &colour, channels);
        }
    return pixels;
}
