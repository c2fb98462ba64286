/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception */
#include "client/examples/thumbs/images.h"

#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "tests/support/test.h"

static int remove_entry(const char *path, const struct stat *stat, int type, struct FTW *ftw) {
    (void)stat, (void)type, (void)ftw;
    return remove(path);
}

/* A directory of empty files; a name that ends in a slash is a directory. */
static void tree_init(char *dir, const char *const *names) {
    char path[256];

    cr_assert(mkdtemp(dir) != NULL);
    for (; *names; names++) {
        snprintf(path, sizeof(path), "%s/%s", dir, *names);
        if (path[strlen(path) - 1] == '/')
            cr_assert(mkdir(path, 0700) == 0);
        else
            close(open(path, O_WRONLY | O_CREAT, 0600));
    }
}

static void tree_deinit(const char *dir) {
    nftw(dir, remove_entry, 8, FTW_DEPTH | FTW_PHYS);
}

static void expect_names(const struct Images *images, const char *const *names) {
    uint32_t n = 0;

    for (; names[n] && n < images->count; n++)
        expect_str(images->at[n].name, names[n]);
    cr_assert(!names[n], "'%s' is missing", names[n]);
    expect_eq(images->count, n);
}

Test(images, a_directory_gives_its_images_in_order) {
    const char *const files[] = {"b.PNG", "a.jpeg", "notes.txt", "png", "c/", "c/d/", "c/d/e.gif", "c/f.bmp", "out/",
                                 "out/a.jpeg.png", NULL};
    const char *const names[] = {"a.jpeg.png", "b.PNG.png", "c_d_e.gif.png", "c_f.bmp.png", NULL};
    char dir[] = "/tmp/wasmpool-test-XXXXXX", path[64];
    struct Images images = {0};
    struct stat out;

    tree_init(dir, files);
    snprintf(path, sizeof(path), "%s/out", dir);
    cr_assert(stat(path, &out) == 0);
    expect_eq(images_add(&images, dir, &out), 0);
    expect_names(&images, names);
    images_deinit(&images);
    tree_deinit(dir);
}

Test(images, no_two_thumbnails_have_one_name) {
    const char *const files[] = {"x.png", "a/", "a/x.png", "a_x.png", "a_x.png-2", "x.png.png", NULL};
    const char *const names[] = {"a_x.png.png", "a_x.png-2.png", "x.png.png", "x.png.png.png", "a_x.png-2-2.png", NULL};
    char dir[] = "/tmp/wasmpool-test-XXXXXX", path[64];
    struct Images images = {0};
    struct stat out = {0};

    tree_init(dir, files);
    expect_eq(images_add(&images, dir, &out), 0);
    /* Named by itself, a file may be called anything. */
    snprintf(path, sizeof(path), "%s/a_x.png-2", dir);
    expect_eq(images_add(&images, path, &out), 0);
    expect_names(&images, names);
    images_deinit(&images);
    tree_deinit(dir);
}

Test(images, what_is_not_there_is_an_error) {
    struct Images images = {0};
    struct stat out = {0};

    expect_eq(images_add(&images, "/nonexistent/x.png", &out), -ENOENT);
    expect_eq(images.count, 0);
    images_deinit(&images);
}

Test(queue, what_comes_back_goes_last) {
    struct Queue queue;

    expect_eq(queue_init(&queue, 3), 0);
    for (uint32_t i = 0; i < 3; i++)
        queue_push(&queue, i);
    expect_eq(queue_pop(&queue), 0);
    queue_push(&queue, 0);
    expect_eq(queue_pop(&queue), 1);
    expect_eq(queue_pop(&queue), 2);
    expect_eq(queue_pop(&queue), 0);
    expect_eq(queue.count, 0);
    queue_deinit(&queue);
}
