/* SPDX-License-Identifier: MIT */
#pragma once

#include <seed/error.h>

/*
 * Video clips with their true cuts: a table with tabs whose first line names the columns, of which
 * these three are read: "file"; "cut_frames", the first frames of new shots from 0 with commas
 * between, ascending; "cut_list", which is "all" (every cut is listed), "partial" (the sure ones)
 * or "none" (there is no cut).
 */
typedef enum { SEED_CLIP_ALL, SEED_CLIP_PARTIAL, SEED_CLIP_NONE } SeedClipList;

typedef struct {
  char *file;
  guint line;   /* of the table, from 1 */
  GArray *cuts; /* guint64, ascending */
  SeedClipList list;
} SeedClip;

#define SEED_CLIPS_MAX_CUTS 1000000u /* of a clip */

/* An array of SeedClip *, freed with its clips. SEED_ERROR_IO, SEED_ERROR_FORMAT: "FILE:LINE: ...".
 */
GPtrArray *seed_clips_load (const char *path, GError **error);
GPtrArray *seed_clips_parse (const char *label, const char *text, gsize length, GError **error);
