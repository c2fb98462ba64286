/* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception */
#ifndef THUMBS_SCENES_H
#define THUMBS_SCENES_H

/* Pictures to make images of: each a small function of the point, the same every time. */

#include <stdint.h>

enum { SCENES = 5 };

/* Renders scene `scene % SCENES` as width x height pixels of `channels` bytes: 1 gray, 2 gray and alpha, 3 RGB, 4
 * RGBA. The caller frees it; NULL without memory. */
uint8_t *scene_render(unsigned scene, int width, int height, int channels);

#endif
