/* SPDX-License-Identifier: MIT */
#pragma once

#include <seed/error.h>

/*
 * Temporal grounding as QVHighlights judges it (Lei et al. 2021, arXiv 2107.09609): which windows
 * of a video a query means, and how salient each clip of two seconds is. The numbers are those of
 * the published evaluation, its habits included:
 *
 * - R1@t: share of queries whose first predicted window has an IoU of t or more with the true
 * window that it overlaps most.
 * - mAP@t: average precision per query, interpolated as PASCAL VOC 2010, of its first 10 windows by
 *   falling score, each true window matched once, best overlap first; the mean over queries.
 * - short, middle, long: the same on the true windows of (0, 10], (10, 30], (30, 150] seconds
 * alone, and on the queries that have one.
 * - highlights: for each of three annotators, clips rated 2, 3 or 4 at least are positive. mAP over
 *   queries and annotators of the interpolated precision at every distinct recall; HIT@1: whether
 *   the clip of the highest prediction is positive for any annotator.
 */
#define SEED_GROUNDING_N_IOUS 10u   /* 0.5, 0.55, ... 0.95 */
#define SEED_GROUNDING_N_RANGES 4u  /* short, middle, long, full */
#define SEED_GROUNDING_N_RATINGS 3u /* 2 Fair, 3 Good, 4 VeryGood */
#define SEED_GROUNDING_N_ANNOTATORS 3u
#define SEED_GROUNDING_MAX_WINDOWS 100000u /* of a query */
#define SEED_GROUNDING_MAX_CLIPS 1000000u  /* of a query */

typedef struct {
  double start, end; /* seconds */
  double score;      /* predictions only */
} SeedWindow;

typedef struct {
  char *qid;        /* as it is written: a number or a text */
  guint line;       /* of its file, from 1 */
  GArray *windows;  /* SeedWindow; predictions in the order of the file */
  double duration;  /* seconds; truth only, 0 when it is not said */
  GArray *clips;    /* guint, truth only: the clips that are rated */
  GArray *ratings;  /* gint8 [clips, 3], truth only */
  GArray *saliency; /* double, predictions only: of every clip */
} SeedGroundingItem;

/* The lines of one file, of one side. */
typedef struct _SeedGroundingFile SeedGroundingFile;

typedef enum { SEED_GROUNDING_PREDICTIONS, SEED_GROUNDING_TRUTH } SeedGroundingSide;

/*
 * Reads JSON lines, plain or gzip. Of predictions "qid", "pred_relevant_windows" ([start, end,
 * score]) and optionally "pred_saliency_scores"; of annotations "qid", "relevant_windows" ([start,
 * end]), and optionally "duration", "relevant_clip_ids", "saliency_scores". Other keys are passed
 * over. SEED_ERROR_IO, _FORMAT, _LIMIT: "FILE:LINE: ...".
 */
SeedGroundingFile *seed_grounding_load (const char *path, SeedGroundingSide side, GError **error);
/* The same of @length bytes; @label stands for the file. */
SeedGroundingFile *seed_grounding_parse (
    const char *label, const char *text, gsize length, SeedGroundingSide side, GError **error);
void seed_grounding_free (SeedGroundingFile *file);
G_DEFINE_AUTOPTR_CLEANUP_FUNC (SeedGroundingFile, seed_grounding_free)
guint seed_grounding_n_items (const SeedGroundingFile *file);
const SeedGroundingItem *seed_grounding_get (const SeedGroundingFile *file, guint index);
const SeedGroundingItem *seed_grounding_lookup (const SeedGroundingFile *file, const char *qid);
const char *seed_grounding_name (const SeedGroundingFile *file);

extern const double seed_grounding_ious[SEED_GROUNDING_N_IOUS];
extern const char *const seed_grounding_ranges[SEED_GROUNDING_N_RANGES];   /* their names */
extern const char *const seed_grounding_ratings[SEED_GROUNDING_N_RATINGS]; /* "Fair", ... */

/* All numbers are shares, 0..1, unrounded. */
typedef struct {
  guint n_queries[SEED_GROUNDING_N_RANGES];
  double r1[SEED_GROUNDING_N_RANGES][SEED_GROUNDING_N_IOUS];
  double map[SEED_GROUNDING_N_RANGES][SEED_GROUNDING_N_IOUS];
  double average[SEED_GROUNDING_N_RANGES]; /* of map over IoUs */
  gboolean has_highlights;                 /* both files say of every query how salient clips are */
  double highlight_map[SEED_GROUNDING_N_RATINGS], highlight_hit1[SEED_GROUNDING_N_RATINGS];
} SeedGroundingScores;

/*
 * The two files must have the same queries: SEED_ERROR_MISMATCH, with file and line, when one has
 * another's not, or a query without a window. SEED_ERROR_INVALID when there is none.
 */
gboolean seed_grounding_score (const SeedGroundingFile *predictions, const SeedGroundingFile *truth,
    SeedGroundingScores *scores, GError **error);
