/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception */
#include "tests/bench/figures.h"

#define RATIO_LEAST 1

void figures_add_gallery(struct Figures *figures, const struct Gallery *gallery) {
    const struct GalleryCell *cells = gallery->cells;
    const struct Sample *ratio = &gallery->ratio, *daemon, *stock;
    bool sampled = cells[GALLERY_DAEMON].sampled.n && cells[GALLERY_STOCK].sampled.n;

    daemon = sampled ? &cells[GALLERY_DAEMON].sampled : &cells[GALLERY_DAEMON].share;
    stock = sampled ? &cells[GALLERY_STOCK].sampled : &cells[GALLERY_STOCK].share;
    figures_add(figures, sample_median(ratio) >= RATIO_LEAST ? FIGURE_OK : FIGURE_MISSED, sample_median(ratio),
                RATIO_LEAST,
                "wasmpool-thumbs: %.1f images/s with the daemon, %.1f with the stock runtime: %.3f (%.3f..%.3f) of it, "
                "must be at least %d; %.1f %% and %.1f %% of the time in page faults, by %s",
                sample_median(&cells[GALLERY_DAEMON].per_s), sample_median(&cells[GALLERY_STOCK].per_s),
                sample_median(ratio), sample_quantile(ratio, 0.25), sample_quantile(ratio, 0.75), RATIO_LEAST,
                100 * sample_median(daemon), 100 * sample_median(stock), sampled ? "sampling" : "number");
}
