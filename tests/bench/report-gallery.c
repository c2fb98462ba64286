/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception */
#include "tests/bench/report-part.h"

#include <stdio.h>

static void report_gallery_line(const struct Gallery *gallery, const char *title, size_t offset, double scale,
                                int digits) {
    printf("%-36s", title);
    for (unsigned side = 0; side < GALLERY_SIDES_N; side++)
        report_part_sample((const struct Sample *)((const char *)&gallery->cells[side] + offset), scale, digits);
    printf("\n");
}

void report_gallery_text(const struct Gallery *gallery) {
    printf("\nwasmpool-thumbs over %u images, %d workers, each image in a fresh sandbox, from its start to its end;\n"
           "median and quartiles of %u repetitions. How much of their time page faults take: by their number, times\n"
           "what one of fresh memory costs, measured beside each run (that of a page that exists costs less);\n"
           "and by sampling with perf, where it is there, in runs of their own:\n\n%-36s",
           gallery->images, GALLERY_WORKERS, gallery->ratio.n, "");
    for (unsigned side = 0; side < GALLERY_SIDES_N; side++)
        printf(" %22s", GALLERY_WAYS[side].title);
    printf("\n");
    report_gallery_line(gallery, "images a second", offsetof(struct GalleryCell, per_s), 1, 1);
    report_gallery_line(gallery, "processors' time for an image, us", offsetof(struct GalleryCell, cpu_ns), 1e-3, 0);
    report_gallery_line(gallery, "page faults for an image", offsetof(struct GalleryCell, faults), 1, 0);
    report_gallery_line(gallery, "one fault of fresh memory, ns", offsetof(struct GalleryCell, fault_ns), 1, 0);
    report_gallery_line(gallery, "in page faults, % by number", offsetof(struct GalleryCell, share), 100, 2);
    report_gallery_line(gallery, "in page faults, % by sampling", offsetof(struct GalleryCell, sampled), 100, 2);
    printf("\n");
}

json_t *report_gallery_json(const struct Gallery *gallery) {
    json_t *json = json_pack("{s:i, s:i, s:o}", "images", (int)gallery->images, "workers", GALLERY_WORKERS,
                             "daemon_over_stock", report_part_json(&gallery->ratio));

    for (unsigned side = 0; side < GALLERY_SIDES_N; side++) {
        const struct GalleryCell *cell = &gallery->cells[side];

        json_object_set_new(json, GALLERY_WAYS[side].key,
                            json_pack("{s:o, s:o, s:o, s:o, s:o, s:o}",
                                      "images_per_s", report_part_json(&cell->per_s),
                                      "cpu_ns_per_image", report_part_json(&cell->cpu_ns),
                                      "faults_per_image", report_part_json(&cell->faults),
                                      "fault_ns", report_part_json(&cell->fault_ns),
                                      "fault_share_by_number", report_part_json(&cell->share),
                                      "fault_share_by_sampling", report_part_json(&cell->sampled)));
    }
    return json;
}
