/* SPDX-License-Identifier: MIT */
#include <string.h>

#include "anchors/cuts.h"
#include "anchors/duplicates.h"
#include "student/seedstudent.h"

#define MAX_STREAMS 4096    /* beyond, new ones are not watched */
#define DISTINCT_FRAMES 256 /* of a stream, that a frame may be a near-duplicate of */
#define RECENT (SEED_CUTS_MAX_LOOKAHEAD + 1)

/* Of one stream. */
typedef struct {
  SeedCuts *cuts;
  guint64 recent[RECENT]; /* numbers of the frames pushed last, by their order */
  guint64 n_pushed;
  SeedDuplicates *duplicates;
  gboolean repeats; /* the frame before was a near-duplicate, ... */
  guint64 repeated; /* ... of this one */
  float *signature; /* [K + E], or [E] without anchors */
} Watched;

static const struct {
  const char *name;
  SeedStudentNotice notice;
} names[] = {
  { "cuts", SEED_STUDENT_NOTICE_CUTS },
  { "duplicates", SEED_STUDENT_NOTICE_DUPLICATES },
};

static guint
find_notice (const char *name)
{
  for (guint i = 0; i < G_N_ELEMENTS (names); i++)
    if (g_str_equal (names[i].name, name))
      return names[i].notice;
  return 0;
}

gboolean
seed_student_notices_parse (const char *text, guint *notices, GError **error)
{
  g_auto (GStrv) parts = g_strsplit (text ? text : "", ",", -1);
  guint all = 0;

  for (guint i = 0; parts[i]; i++) {
    guint notice = find_notice (g_strstrip (parts[i]));

    if (!notice) {
      g_set_error (error, SEED_ERROR, SEED_ERROR_INVALID,
          "events: \"%s\" is none of cuts, duplicates", parts[i]);
      return FALSE;
    }
    all |= notice;
  }
  *notices = all;
  return TRUE;
}

static void
watched_free (gpointer data)
{
  Watched *watched = data;

  seed_cuts_free (watched->cuts);
  seed_duplicates_free (watched->duplicates);
  g_free (watched->signature);
  g_free (watched);
}

static guint
n_bins (SeedStudentElement *self)
{
  return self->infer.anchors ? SEED_ANCHORS_N : 0;
}

static Watched *
watched_new (SeedStudentElement *self)
{
  guint bins = n_bins (self), e = self->infer.out.summary_dim;
  Watched *watched = g_new0 (Watched, 1);
  SeedCutsConfig config;

  if (self->infer.notices & SEED_STUDENT_NOTICE_CUTS) {
    seed_cuts_config_init (&config, bins, e);
    watched->cuts = seed_cuts_new (&config, NULL);
  }
  if (self->infer.notices & SEED_STUDENT_NOTICE_DUPLICATES) {
    watched->duplicates = seed_duplicates_new (bins + e, DISTINCT_FRAMES, SEED_DUPLICATES_COSINE);
    watched->signature = g_new (float, bins + e);
  }
  return watched;
}

static Watched *
watch (SeedStudentElement *self, const char *stream)
{
  SeedStudentInfer *infer = &self->infer;
  Watched *watched;

  if (!infer->noticed)
    infer->noticed = g_hash_table_new_full (g_str_hash, g_str_equal, g_free, watched_free);
  watched = g_hash_table_lookup (infer->noticed, stream);
  if (watched || g_hash_table_size (infer->noticed) >= MAX_STREAMS)
    return watched;
  watched = watched_new (self);
  g_hash_table_insert (infer->noticed, g_strdup (stream), watched);
  return watched;
}

static void
tell (SeedStudentElement *self, const char *name, const char *stream, const char *reason,
    guint64 frame, double score)
{
  GstEvent *event = seed_event_new (name, stream, reason);

  seed_event_set_frame (event, frame, score);
  gst_pad_push_event (self->srcpad, event);
}

static void
tell_cut (SeedStudentElement *self, const Watched *watched, const char *stream, const SeedCut *cut)
{
  guint64 frame = watched->recent[cut->frame % RECENT];
  g_autofree char *reason = g_strdup_printf ("a shot begins with frame %" G_GUINT64_FORMAT
                                             ": %.3f from the frame before, limit %.3f",
      frame, cut->distance, cut->threshold);

  tell (self, "scene-cut", stream, reason, frame, cut->distance);
  gst_pad_push_event (self->sinkpad, seed_scene_cut_event_new (stream));
}

static void
look_for_cut (SeedStudentElement *self, Watched *watched, const SeedStreamMeta *who,
    const float *histogram, const float *embedding)
{
  SeedCut cut;

  watched->recent[watched->n_pushed++ % RECENT] = who->frame;
  if (seed_cuts_push (watched->cuts, histogram, embedding, &cut))
    tell_cut (self, watched, who->stream, &cut);
}

/* The cosine of two signatures is the mean of the cosine of the embeddings and the Bhattacharyya
 * coefficient of the histograms: both parts are unit vectors. */
static void
make_signature (
    Watched *watched, guint bins, const float *histogram, guint e, const float *embedding)
{
  if (bins > 0)
    seed_histogram_root (histogram, bins, watched->signature);
  memcpy (watched->signature + bins, embedding, e * sizeof (float));
}

/* A still scene is one near-duplicate after the other: told is when they begin, and when they are
 * of another frame. */
static void
look_for_duplicate (SeedStudentElement *self, Watched *watched, const SeedStreamMeta *who,
    const float *histogram, const float *embedding)
{
  guint64 of = 0;
  double cosine = 0;
  gboolean duplicate;

  make_signature (watched, n_bins (self), histogram, self->infer.out.summary_dim, embedding);
  duplicate =
      seed_duplicates_push (watched->duplicates, watched->signature, who->frame, &of, &cosine);
  if (duplicate && !(watched->repeats && watched->repeated == of)) {
    g_autofree char *reason = g_strdup_printf ("frame %" G_GUINT64_FORMAT
                                               " is like frame %" G_GUINT64_FORMAT ": cosine %.3f",
        who->frame, of, cosine);

    tell (self, "near-duplicate", who->stream, reason, who->frame, cosine);
  }
  watched->repeats = duplicate;
  watched->repeated = of;
}

void
seed_student_notice (SeedStudentElement *self, GstBuffer *out, const float *embeddings)
{
  SeedStudentInfer *infer = &self->infer;
  gpointer state = NULL;
  const SeedStreamMeta *who;

  if (!infer->notices || self->in.views != 1)
    return;
  for (guint i = 0; (who = seed_buffer_iterate_stream_meta (out, &state)); i++) {
    const float *histogram = infer->anchors ? infer->histograms + (gsize) i * SEED_ANCHORS_N : NULL;
    const float *embedding = embeddings + (gsize) i * infer->out.summary_dim;
    Watched *watched = who->repeat == 0 ? watch (self, who->stream) : NULL;

    if (watched && watched->cuts)
      look_for_cut (self, watched, who, histogram, embedding);
    if (watched && watched->duplicates)
      look_for_duplicate (self, watched, who, histogram, embedding);
  }
}

static void
flush_cuts (SeedStudentElement *self, const char *stream, Watched *watched)
{
  SeedCut cut;

  while (watched->cuts && seed_cuts_flush (watched->cuts, &cut))
    tell_cut (self, watched, stream, &cut);
}

void
seed_student_notice_end (SeedStudentElement *self, const char *stream)
{
  SeedStudentInfer *infer = &self->infer;
  gpointer key, value;
  GHashTableIter iter;

  if (!infer->noticed)
    return;
  g_hash_table_iter_init (&iter, infer->noticed);
  while (g_hash_table_iter_next (&iter, &key, &value)) {
    if (stream && !g_str_equal (key, stream))
      continue;
    flush_cuts (self, key, value);
    g_hash_table_iter_remove (&iter);
  }
}

void
seed_student_notice_clear (SeedStudentElement *self)
{
  g_clear_pointer (&self->infer.noticed, g_hash_table_unref);
}
