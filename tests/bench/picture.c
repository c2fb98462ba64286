/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception */
#include "tests/bench/picture.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/utsname.h>
#include <unistd.h>

/* Bars for each row, one below the other, to a scale of which the longest are cut: most of them are short. */

#define BARS_N 3
#define BAR_HEIGHT 9
#define ROW_HEIGHT (BARS_N * BAR_HEIGHT + 9)
#define GROUP_HEIGHT 30 /* of what stands above the rows of a module */
#define LEFT 112        /* of the bars; the titles are before */
#define SCALE_US 10
#define US_WIDTH 50
#define WIDTH (LEFT + SCALE_US * US_WIDTH + 64)
#define TOP 92
#define TABLE_TOUCH 4 /* pages, of the rows that the table has */

struct Bar {
    const char *class;
    double us;
};

/* For those who do not know the modules' names. */
static const struct {
    const char *module, *title;
} GROUPS[] = {
    {"empty", "an empty module"},
    {"memory64k", "a memory of 64 KiB"},
    {"data430", "a memory of 1 MiB and 64 KiB, 430 bytes of it data"},
    {"table17", "a memory of 1 MiB and 64 KiB, and a table of 1000 functions"},
    {"image1m", "a memory of 2 MiB, 1 MiB of it data"},
    {"zero64m", "a memory of 64 MiB, pages far apart"},
    {"thumbs", "an image decoder"},
};

static const char *picture_group(const char *module) {
    for (size_t i = 0; i < sizeof(GROUPS) / sizeof(GROUPS[0]); i++)
        if (!strcmp(GROUPS[i].module, module))
            return GROUPS[i].title;
    return module;
}

static bool picture_begins_group(unsigned row) {
    return !row || strcmp(PEER_ROWS[row].module, PEER_ROWS[row - 1].module);
}

static const char *picture_title(unsigned row, char title[static 24]) {
    unsigned touch = PEER_ROWS[row].touch;

    snprintf(title, 24, touch == 1 ? "%u page" : touch ? "%u pages" : "untouched", touch);
    return title;
}

static int picture_height(void) {
    int height = TOP + PEER_ROWS_N * ROW_HEIGHT + 12;

    for (unsigned row = 0; row < PEER_ROWS_N; row++)
        height += picture_begins_group(row) ? GROUP_HEIGHT : 0;
    return height;
}

static void picture_begin(FILE *file, int height) {
    fprintf(file,
            "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 %d %d\" width=\"%d\" height=\"%d\" "
            "font-family=\"system-ui, 'DejaVu Sans', sans-serif\" font-size=\"12\">\n"
            "<!-- SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception -->\n"
            "<title>wasmpool beside Wasmtime: microseconds for a whole instance</title>\n"
            "<style>\n"
            ".small { font-size: 10px } .value { font-size: 8.5px } .group { font-weight: 600 }\n"
            "text { fill: #24292f } .small, .value { fill: #57606a } .grid { stroke: #d0d7de }\n"
            ".ours { fill: #1a7f5a } .tuned { fill: #d98324 } .default { fill: #9aa4b2 }\n"
            "@media (prefers-color-scheme: dark) {\n"
            "  text { fill: #e6edf3 } .small, .value { fill: #9da7b3 } .grid { stroke: #3d444d }\n"
            "  .ours { fill: #3fb98a } .tuned { fill: #e59a45 } .default { fill: #6e7885 }\n"
            "}\n"
            "</style>\n",
            WIDTH, height, WIDTH, height);
}

static void picture_legend(FILE *file) {
    static const struct {
        const char *class, *title;
        int x;
    } entries[BARS_N] = {
        {"ours", "wasmpool, with its daemon", 0},
        {"tuned", "Wasmtime, its pool at its best", 210},
        {"default", "Wasmtime, its pool by default", 440},
    };
    struct utsname host;

    uname(&host);
    fprintf(file,
            "<text x=\"8\" y=\"20\" font-size=\"14\" font-weight=\"600\">Microseconds for a whole instance</text>\n"
            "<text class=\"small\" x=\"8\" y=\"37\">allocate, initialize, write to some pages, free; one thread, "
            "medians; longer bars are cut. %s %.*s, %s, %ld processors</text>\n",
            host.sysname, (int)strcspn(host.release, "-"), host.release, host.machine, sysconf(_SC_NPROCESSORS_ONLN));
    for (unsigned i = 0; i < BARS_N; i++)
        fprintf(file,
                "<rect class=\"%s\" x=\"%d\" y=\"50\" width=\"12\" height=\"10\"/><text x=\"%d\" y=\"59\">%s</text>\n",
                entries[i].class, 8 + entries[i].x, 26 + entries[i].x, entries[i].title);
}

static void picture_grid(FILE *file, int height) {
    for (unsigned us = 0; us <= SCALE_US; us += 2)
        fprintf(file,
                "<line class=\"grid\" x1=\"%d\" x2=\"%d\" y1=\"%d\" y2=\"%d\"/>"
                "<text class=\"small\" x=\"%d\" y=\"%d\" text-anchor=\"middle\">%u &#181;s</text>\n",
                LEFT + us * US_WIDTH, LEFT + us * US_WIDTH, TOP - 6, height - 8, LEFT + us * US_WIDTH, TOP - 10, us);
}

static void picture_bar(FILE *file, const struct Bar *bar, int y) {
    bool cut = bar->us > SCALE_US;
    double width = (cut ? SCALE_US : bar->us) * US_WIDTH;

    if (cut) /* its end is a point */
        fprintf(file, "<path class=\"%s\" d=\"M%d %dh%.1fl8 %.1fl-8 %.1fh-%.1fz\"/>", bar->class, LEFT, y, width,
                (BAR_HEIGHT - 1) / 2., (BAR_HEIGHT - 1) / 2., width);
    else
        fprintf(file, "<rect class=\"%s\" x=\"%d\" y=\"%d\" width=\"%.1f\" height=\"%d\"/>", bar->class, LEFT, y, width,
                BAR_HEIGHT - 1);
    fprintf(file, "<text class=\"value\" x=\"%.1f\" y=\"%d\">%.*f</text>\n",
            LEFT + width + (cut ? 11 : 4), y + BAR_HEIGHT - 1, bar->us < 10 ? 2 : 0, bar->us);
}

static void picture_row(FILE *file, const struct Peers *peers, unsigned row, int y) {
    const struct Sample *cost = peers->cells[row].cost[PEER_ONE];
    const struct Bar bars[BARS_N] = {
        {"ours", sample_median(&cost[PEER_DAEMON]) / 1e3},
        {"tuned", sample_median(&cost[peers_best(peers, PEER_ONE, row)]) / 1e3},
        {"default", sample_median(&cost[PEER_POOLING]) / 1e3},
    };
    char title[24];

    fprintf(file, "<text x=\"%d\" y=\"%d\" text-anchor=\"end\">%s</text>\n", LEFT - 8, y + BARS_N * BAR_HEIGHT / 2 + 4,
            picture_title(row, title));
    for (unsigned i = 0; i < BARS_N; i++)
        picture_bar(file, &bars[i], y + (int)i * BAR_HEIGHT);
}

/* Over the grid's lines, on what the page has. */
static void picture_group_title(FILE *file, unsigned row, int y) {
    fprintf(file, "<text class=\"group\" x=\"8\" y=\"%d\">%s</text>\n", y, picture_group(PEER_ROWS[row].module));
}

int picture_write(const struct Peers *peers, const char *path) {
    FILE *file = fopen(path, "we");
    int height = picture_height(), y = TOP;

    if (!file)
        return -errno;
    picture_begin(file, height);
    picture_legend(file);
    picture_grid(file, height);
    for (unsigned row = 0; row < PEER_ROWS_N; row++) {
        if (picture_begins_group(row)) {
            picture_group_title(file, row, y + GROUP_HEIGHT - 10);
            y += GROUP_HEIGHT;
        }
        picture_row(file, peers, row, y);
        y += ROW_HEIGHT;
    }
    fprintf(file, "</svg>\n");
    return ferror(file) | fclose(file) ? -EIO : 0;
}

/* ------------------------------------------------------------------------------------------------ in words */

int picture_write_table(const struct Peers *peers, const char *path) {
    FILE *file = fopen(path, "we");

    if (!file)
        return -errno;
    fprintf(file, "| microseconds for an instance that writes to %d pages | wasmpool, with its daemon | "
                  "Wasmtime, its pool at its best | Wasmtime, its pool by default |\n|---|---|---|---|\n",
            TABLE_TOUCH);
    for (unsigned row = 0; row < PEER_ROWS_N; row++) {
        const struct Sample *cost = peers->cells[row].cost[PEER_ONE];

        if (PEER_ROWS[row].touch != TABLE_TOUCH)
            continue;
        fprintf(file, "| %s | %.2f | %.2f | %.2f |\n", picture_group(PEER_ROWS[row].module),
                sample_median(&cost[PEER_DAEMON]) / 1e3, sample_median(&cost[peers_best(peers, PEER_ONE, row)]) / 1e3,
                sample_median(&cost[PEER_POOLING]) / 1e3);
    }
    return ferror(file) | fclose(file) ? -EIO : 0;
}
