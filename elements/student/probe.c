/* SPDX-License-Identifier: MIT */
#include <math.h>
#include <string.h>

#include <seed/rng.h>

#include "student/probe.h"

#define HAS_TARGET 1u
#define HAS_LABELS 2u
#define HAS_CAPTIONS 4u
#define HAS_MASK 8u /* of captions */
#define HAS_VIEWS 16u
#define ALL_PARTS 31u

/* A held batch: its parts one after the other in one block. */
typedef struct {
  guint b, parts;
  guint8 *data; /* NULL: the slot is empty */
} Slot;

struct _SeedProbe {
  SeedProbeLayout layout;
  guint64 seed;
  guint n_slots, n_recent; /* the newest are in the first n_recent, the older ones behind */
  guint max_items;         /* of a slot */
  guint64 n_seen, n_held;
  Slot slots[SEED_PROBE_MAX_SLOTS];
};

SeedProbe *
seed_probe_new (const SeedProbeLayout *layout, guint max_items, guint max_batch, guint64 seed)
{
  SeedProbe *probe = g_new0 (SeedProbe, 1);

  probe->layout = *layout;
  probe->seed = seed_hash_string (seed, "probe");
  probe->max_items = MAX (2, MIN (max_items, max_batch));
  probe->n_slots = CLAMP (max_items / probe->max_items, 1, SEED_PROBE_MAX_SLOTS);
  probe->n_recent = (probe->n_slots + 1) / 2;
  return probe;
}

static void
clear_slots (SeedProbe *probe)
{
  for (guint i = 0; i < probe->n_slots; i++)
    g_clear_pointer (&probe->slots[i].data, g_free);
  probe->n_seen = probe->n_held = 0;
}

void
seed_probe_free (SeedProbe *probe)
{
  if (!probe)
    return;
  clear_slots (probe);
  g_free (probe);
}

/* ---- what is held ---- */

gboolean
seed_probe_wants (SeedProbe *probe)
{
  guint64 number = probe->n_seen++, block = number / SEED_PROBE_BLOCK;

  return block > 0 &&
         number % SEED_PROBE_BLOCK == seed_hash (probe->seed, block) % SEED_PROBE_BLOCK;
}

/* Takes @size bytes of the block at *@at, in whole numbers of eight. */
static const void *
take (const guint8 *data, gsize *at, gsize size)
{
  const guint8 *part = data ? data + *at : NULL;

  *at += (size + 7) / 8 * 8;
  return size > 0 ? part : NULL;
}

/* Where the parts of a block are; returns its size. @data may be NULL. */
static gsize
lay_out (const SeedProbeLayout *layout, const Slot *slot, const guint8 *data, SeedProbeBatch *batch)
{
  gsize at = 0, b = slot->b, f = sizeof (float);

  *batch = (SeedProbeBatch){ .b = slot->b };
  batch->words = take (data, &at, b * layout->words);
  batch->target = take (data, &at, slot->parts & HAS_TARGET ? b * b * f : 0);
  for (guint t = 0; t < layout->n_teachers; t++) {
    batch->summary[t] = take (data, &at, b * layout->summary[t] * f);
    batch->tokens[t] = take (data, &at, b * layout->tokens[t] * f);
  }
  batch->labels = take (data, &at, slot->parts & HAS_LABELS ? b * sizeof (gint32) : 0);
  batch->captions = take (data, &at, slot->parts & HAS_CAPTIONS ? b * layout->caption * f : 0);
  batch->has_caption = take (data, &at, slot->parts & HAS_MASK ? b * sizeof (gint32) : 0);
  if (slot->parts & HAS_VIEWS) {
    batch->views = take (data, &at, SEED_VIEWS * b * sizeof *batch->views);
    batch->frames = take (data, &at, b * sizeof *batch->frames);
    batch->draws = take (data, &at, b * sizeof *batch->draws);
  }
  return at;
}

static void
copy (const void *to, const void *from, gsize size)
{
  if (to && from)
    memcpy ((void *) to, from, size);
}

/* The upper left square of a target. */
static void
copy_target (const float *to, guint b, const float *from, guint stride)
{
  for (guint i = 0; to && i < b; i++)
    memcpy ((float *) to + (gsize) i * b, from + (gsize) i * stride, b * sizeof (float));
}

static Slot
make_slot (const SeedProbe *probe, const SeedProbeBatch *batch)
{
  const SeedProbeLayout *layout = &probe->layout;
  Slot slot = { .b = MIN (batch->b, probe->max_items) };
  gsize b = slot.b, f = sizeof (float);
  SeedProbeBatch held;

  slot.parts = (batch->target ? HAS_TARGET : 0) | (batch->labels ? HAS_LABELS : 0) |
               (batch->captions && layout->caption ? HAS_CAPTIONS : 0) |
               (batch->captions && batch->has_caption ? HAS_MASK : 0) |
               (batch->views ? HAS_VIEWS : 0);
  slot.data = g_malloc0 (lay_out (layout, &slot, NULL, &held));
  lay_out (layout, &slot, slot.data, &held);
  copy (held.words, batch->words, b * layout->words);
  copy_target (held.target, slot.b, batch->target, batch->b);
  for (guint t = 0; t < layout->n_teachers; t++) {
    copy (held.summary[t], batch->summary[t], b * layout->summary[t] * f);
    copy (held.tokens[t], batch->tokens[t], b * layout->tokens[t] * f);
  }
  copy (held.labels, batch->labels, b * sizeof (gint32));
  copy (held.captions, batch->captions, b * layout->caption * f);
  copy (held.has_caption, batch->has_caption, b * sizeof (gint32));
  copy (held.views, batch->views, SEED_VIEWS * b * sizeof *held.views);
  copy (held.frames, batch->frames, b * sizeof *held.frames);
  copy (held.draws, batch->draws, b * sizeof *held.draws);
  return slot;
}

/* The @n-th batch (from 0) that is no longer among the newest: into the sample, or away. */
static void
retire (SeedProbe *probe, Slot slot, guint64 n)
{
  guint room = probe->n_slots - probe->n_recent;
  guint64 at = n < room ? n : seed_hash (probe->seed + 1, n) % (n + 1);

  if (at < room) {
    g_free (probe->slots[probe->n_recent + at].data);
    probe->slots[probe->n_recent + at] = slot;
  } else {
    g_free (slot.data);
  }
}

void
seed_probe_add (SeedProbe *probe, const SeedProbeBatch *batch)
{
  guint64 n = probe->n_held++;
  Slot *slot = &probe->slots[n % probe->n_recent];

  if (slot->data)
    retire (probe, *slot, n - probe->n_recent);
  *slot = make_slot (probe, batch);
}

guint
seed_probe_n_slots (const SeedProbe *probe)
{
  return probe->n_slots;
}

gboolean
seed_probe_get (const SeedProbe *probe, guint slot, SeedProbeBatch *batch)
{
  if (!probe->slots[slot].data)
    return FALSE;
  lay_out (&probe->layout, &probe->slots[slot], probe->slots[slot].data, batch);
  return TRUE;
}

guint
seed_probe_n_items (const SeedProbe *probe)
{
  guint n = 0;

  for (guint i = 0; i < probe->n_slots; i++)
    n += probe->slots[i].data ? probe->slots[i].b : 0;
  return n;
}

gsize
seed_probe_memory_bytes (const SeedProbe *probe)
{
  gsize bytes = sizeof *probe;
  SeedProbeBatch batch;

  for (guint i = 0; i < probe->n_slots; i++)
    bytes += probe->slots[i].data ? lay_out (&probe->layout, &probe->slots[i], NULL, &batch) : 0;
  return bytes;
}

/* ---- saving ---- */

char *
seed_probe_describe (const SeedProbe *probe)
{
  GString *text = g_string_new (NULL);

  g_string_printf (text, "%" G_GUINT64_FORMAT " %" G_GUINT64_FORMAT " %u %u", probe->n_seen,
      probe->n_held, probe->n_slots, probe->max_items);
  for (guint i = 0; i < probe->n_slots; i++)
    g_string_append_printf (text, " %u %u", probe->slots[i].data ? probe->slots[i].b : 0,
        probe->slots[i].data ? probe->slots[i].parts : 0);
  return g_string_free (text, FALSE);
}

gboolean
seed_probe_slot_bytes (const SeedProbe *probe, guint slot, const void **data, gsize *size)
{
  SeedProbeBatch batch;

  *data = probe->slots[slot].data;
  if (*data)
    *size = lay_out (&probe->layout, &probe->slots[slot], NULL, &batch);
  return *data != NULL;
}

static gboolean
all_finite (const float *x, gsize n)
{
  for (gsize i = 0; x && i < n; i++)
    if (!isfinite (x[i]))
      return FALSE;
  return TRUE;
}

/* A target may say -infinity, for a pair that takes part in nothing, but not on its diagonal. */
static gboolean
target_is_sound (const float *target, guint b)
{
  for (guint i = 0; target && i < b; i++)
    for (guint j = 0; j < b; j++) {
      float x = target[(gsize) i * b + j];

      if (isnan (x) || x == INFINITY || (i == j && isinf (x)))
        return FALSE;
    }
  return TRUE;
}

static gboolean
views_are_sound (const SeedAnchorsView *views, guint n)
{
  for (guint i = 0; views && i < n; i++)
    if (!isfinite (views[i].x) || !isfinite (views[i].y) || !isfinite (views[i].width) ||
        !isfinite (views[i].height) || !(views[i].width > 0) || !(views[i].height > 0))
      return FALSE;
  return TRUE;
}

static gboolean
slot_is_sound (const SeedProbeLayout *layout, const Slot *slot)
{
  SeedProbeBatch batch;

  lay_out (layout, slot, slot->data, &batch);
  for (guint t = 0; t < layout->n_teachers; t++)
    if (!all_finite (batch.summary[t], batch.b * layout->summary[t]) ||
        !all_finite (batch.tokens[t], batch.b * layout->tokens[t]))
      return FALSE;
  return target_is_sound (batch.target, batch.b) &&
         views_are_sound (batch.views, SEED_VIEWS * batch.b) &&
         all_finite (batch.captions, batch.b * layout->caption);
}

static gboolean
restore_slot (SeedProbe *probe, guint i, guint b, guint parts, SeedProbeRead read, gpointer data)
{
  Slot slot = { .b = b, .parts = parts };
  SeedProbeBatch batch;
  const void *bytes;
  gsize size;

  if (b == 0)
    return TRUE;
  if (b > probe->max_items || parts > ALL_PARTS || !read (i, &bytes, &size, data) ||
      size != lay_out (&probe->layout, &slot, NULL, &batch))
    return FALSE;
  slot.data = g_malloc (size);
  memcpy (slot.data, bytes, size);
  probe->slots[i] = slot;
  return slot_is_sound (&probe->layout, &slot);
}

gboolean
seed_probe_restore (SeedProbe *probe, const char *text, SeedProbeRead read, gpointer user_data)
{
  g_auto (GStrv) words = g_strsplit (text, " ", 5 + 2 * SEED_PROBE_MAX_SLOTS);
  guint n = g_strv_length (words);
  guint64 numbers[4 + 2 * SEED_PROBE_MAX_SLOTS];
  gboolean ok = n >= 4 && n <= G_N_ELEMENTS (numbers);

  clear_slots (probe);
  for (guint i = 0; ok && i < n; i++)
    ok = g_ascii_string_to_unsigned (
        words[i], 10, 0, i < 2 ? G_MAXINT64 : G_MAXUINT16, &numbers[i], NULL);
  ok = ok && numbers[2] == probe->n_slots && numbers[3] == probe->max_items &&
       n == 4 + 2 * probe->n_slots;
  for (guint i = 0; ok && i < probe->n_slots; i++)
    ok = restore_slot (
        probe, i, (guint) numbers[4 + 2 * i], (guint) numbers[5 + 2 * i], read, user_data);
  if (!ok) {
    clear_slots (probe);
    return FALSE;
  }
  probe->n_seen = numbers[0];
  probe->n_held = numbers[1];
  return TRUE;
}

/* ---- agreement ---- */

/* softmax of @x / @tau in place; -infinity stays out. */
static void
softmax (double *x, guint n, double tau)
{
  double max = -INFINITY, sum = 0;

  for (guint j = 0; j < n; j++)
    max = MAX (max, x[j]);
  for (guint j = 0; j < n; j++) {
    x[j] = exp ((x[j] - max) / tau);
    sum += x[j];
  }
  for (guint j = 0; j < n; j++)
    x[j] /= sum;
}

/* Of view @view of item @i with all of the other view. */
static double
overlap (const float *z, double norm, const float *target, guint b, guint dim, double tau, guint i,
    guint view, double *p)
{
  double *q = p + b, common = 0;

  for (guint j = 0; j < b; j++) {
    const float *x = z + ((gsize) 2 * i + view) * dim, *y = z + ((gsize) 2 * j + 1 - view) * dim;
    double dot = 0;

    for (guint k = 0; k < dim; k++)
      dot += (double) x[k] * y[k];
    p[j] = view == 0 ? target[(gsize) i * b + j] : target[(gsize) j * b + i];
    q[j] = isinf (p[j]) ? -INFINITY : dot / (norm * norm);
  }
  softmax (p, b, tau);
  softmax (q, b, tau);
  for (guint j = 0; j < b; j++)
    common += MIN (p[j], q[j]);
  return common;
}

double
seed_probe_agreement (const float *z, double norm, const float *target, guint b, guint dim,
    double tau, double *scratch)
{
  double sum = 0;

  for (guint i = 0; i < b; i++)
    for (guint view = 0; view < 2; view++)
      sum += overlap (z, norm, target, b, dim, tau, i, view, scratch);
  return sum / (2.0 * b);
}
