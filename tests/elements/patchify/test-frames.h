/* SPDX-License-Identifier: MIT */
#pragma once

#include <string.h>

#include "patchify/cutter.h"

/* Synthetic frames for the tests of this room. */

typedef enum { PATTERN_NOISE, PATTERN_EXTREME, PATTERN_SMOOTH } Pattern;

/* The same bytes as pattern() of generate-resample-fixtures.py. Caller frees. */
static inline guint8 *
make_pattern (Pattern pattern, gsize size)
{
  guint8 *bytes = g_malloc (size);
  guint32 state = 12345;

  for (gsize i = 0; i < size; i++) {
    state = state * 1664525u + 1013904223u;
    if (pattern == PATTERN_NOISE)
      bytes[i] = (guint8) (state >> 24);
    else if (pattern == PATTERN_EXTREME)
      bytes[i] = state >> 31 ? 255 : 0;
    else
      bytes[i] = (guint8) (i / 5);
  }
  return bytes;
}

/* @step bytes a pixel, R, G, B first. */
static inline SeedFrame
rgb_frame (const guint8 *data, guint width, guint height, guint step)
{
  SeedFrame frame = { .width = width, .height = height, .pixels = SEED_PIXELS_RGB };

  for (guint c = 0; c < 3; c++)
    frame.component[c] = (SeedComponent){ data + c, (int) (width * step), step };
  seed_colour_init (&frame.colour, 0.299, 0.114, TRUE);
  return frame;
}

static inline guint
half_up (guint n)
{
  return (n + 1) / 2;
}

/* Planes one behind the other without padding. */
static inline gsize
i420_size (guint width, guint height)
{
  return (gsize) width * height + 2 * (gsize) half_up (width) * half_up (height);
}

static inline SeedFrame
i420_frame (const guint8 *data, guint width, guint height)
{
  guint cw = half_up (width), ch = half_up (height);
  const guint8 *u = data + (gsize) width * height, *v = u + (gsize) cw * ch;
  SeedFrame frame = { .width = width,
    .height = height,
    .pixels = SEED_PIXELS_YUV,
    .component = { { data, (int) width, 1 }, { u, (int) cw, 1 }, { v, (int) cw, 1 } },
    .sub_x = 1,
    .sub_y = 1,
    .cosited_x = TRUE };

  seed_colour_init (&frame.colour, 0.2126, 0.0722, FALSE);
  return frame;
}

/* Cuts the whole frame as one word of @size, so that words are planes. Caller frees. */
static inline guint8 *
cut_planes (const SeedFrame *frame, const SeedPlacement *place, guint size, SeedFilter filter)
{
  g_autoptr (SeedCutter) cutter = seed_cutter_new (size, size, filter, 1);
  SeedCut cut = { .place = *place };
  guint8 *words = g_malloc ((gsize) 3 * size * size);

  seed_cutter_run (cutter, frame, &cut, 1, words);
  return words;
}

static inline SeedPlacement
place_all (guint width, guint height, guint size)
{
  SeedPlacement place;

  seed_fit_place (SEED_FIT_SQUASH, width, height, 1.0, size, &place);
  return place;
}
