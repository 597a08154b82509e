/* SPDX-License-Identifier: MIT */
#pragma once
#include <string.h>

#include "replay/replay-private.h"

/* Memories of small frames whose pixels tell who they are. */

#define PIXELS 64u

static inline SeedReplayConfig
config_of (guint capacity)
{
  return (SeedReplayConfig){ .capacity = capacity,
    .capacity_bytes = G_GUINT64_CONSTANT (1) << 40,
    .warm_up = 4,
    .live_share = 0.5,
    .likeness = 1,
    .seed = 11 };
}

static inline SeedRemembered
new_frame (const char *stream, guint64 number, gsize n_pixels)
{
  g_autofree guint8 *pixels = g_malloc (n_pixels);
  SeedRemembered frame = { .frame = number,
    .pts = number * 40000000,
    .dropped = number / 2,
    .capture_ns = (gint64) number + 7,
    .label = (gint32) (number % 10) - 1 };

  memset (pixels, (int) (number * 37 + (guint8) stream[0]), n_pixels);
  g_strlcpy (frame.stream, stream, sizeof frame.stream);
  frame.format = g_ref_string_new_intern ("video/test, width=8, height=8");
  frame.pixels = g_bytes_new (pixels, n_pixels);
  for (guint i = 0; i < SEED_SIGNATURE_CELLS; i++)
    frame.signature.cell[i] = (guint8) (number * 31 + i * (number + 1));
  seed_signature_of_cells (&frame.signature, frame.signature.cell);
  return frame;
}

/* One live frame, from offer to the frames due after it: appended to @drawn as stream and number
 * when that is not NULL. */
static inline void
live_frame (SeedReplay *replay, const char *stream, guint64 number, gsize n_pixels, GString *drawn)
{
  const SeedRemembered *due;

  if (seed_replay_offer (replay, stream, n_pixels)) {
    SeedRemembered frame = new_frame (stream, number, n_pixels);

    seed_replay_store (replay, &frame);
  }
  seed_replay_live (replay);
  while ((due = seed_replay_draw (replay)))
    if (drawn)
      g_string_append_printf (
          drawn, "%s%" G_GUINT64_FORMAT ".%u ", due->stream, due->frame, due->repeat);
}

static inline SeedReplayStream
stream_info (const SeedReplay *replay, const char *id)
{
  SeedReplayStream info = { 0 };

  for (guint i = 0; i < seed_replay_n_streams (replay); i++) {
    seed_replay_get_stream (replay, i, &info);
    if (g_str_equal (info.stream, id))
      return info;
  }
  return (SeedReplayStream){ 0 };
}
