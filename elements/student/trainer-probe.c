/* SPDX-License-Identifier: MIT */
#include <math.h>
#include <string.h>

#include <seed/error.h>

#include "student/trainer-private.h"

#define PROBE_KEY "probe"
#define CURSOR_KEY "cursor"
#define MAX_CURSORS 4096u /* streams */

/* ---- the probe ---- */

void
seed_trainer_enable_probe (SeedTrainer *trainer, guint max_items)
{
  g_return_if_fail (!trainer->probe);
  trainer->probe_items = max_items;
}

static SeedProbeLayout
probe_layout (const SeedTrainer *trainer)
{
  const SeedLearnerConfig *learner = &trainer->config.learner;
  SeedProbeLayout layout = { .words = seed_trainer_item_size (trainer),
    .n_teachers = trainer->n_teachers,
    .caption = learner->objective & SEED_OBJECTIVE_CAPTIONS ? learner->text_dim : 0 };

  for (guint t = 0; t < trainer->n_teachers; t++) {
    const SeedTrainerTeacher *info = &trainer->teachers[t].info;

    layout.summary[t] = SEED_VIEWS * (gsize) info->summary_dim;
    if (seed_trainer_uses_tokens (trainer, t))
      layout.tokens[t] = SEED_VIEWS * (gsize) info->grid * info->grid * info->token_dim;
  }
  return layout;
}

static gboolean
read_slot (guint slot, const void **data, gsize *size, gpointer user_data)
{
  g_autofree char *name = g_strdup_printf (PROBE_KEY ".%u", slot);
  const SeedTensor *tensor = seed_safetensors_lookup (user_data, name);

  if (!tensor || tensor->dtype != SEED_DTYPE_U8)
    return FALSE;
  *data = tensor->data;
  *size = tensor->size;
  return TRUE;
}

/* The size of batches is known when the first comes; what was saved waits until then. */
static SeedProbe *
need_probe (SeedTrainer *trainer)
{
  SeedProbeLayout layout;
  const char *text;

  if (trainer->probe || trainer->probe_items == 0 || trainer->max_items == 0)
    return trainer->probe;
  layout = probe_layout (trainer);
  trainer->probe =
      seed_probe_new (&layout, trainer->probe_items, trainer->max_items, trainer->config.seed);
  text = trainer->saved_state ? seed_safetensors_metadata (trainer->saved_state, PROBE_KEY) : NULL;
  if (text)
    seed_probe_restore (trainer->probe, text, read_slot, trainer->saved_state);
  g_clear_pointer (&trainer->saved_state, seed_safetensors_unref);
  return trainer->probe;
}

gboolean
seed_trainer_hold_out (SeedTrainer *trainer, const SeedTrainerBatch *batch)
{
  SeedProbe *probe = need_probe (trainer);
  g_autofree gint32 *mask = NULL;
  SeedProbeBatch held = { .b = batch->b,
    .words = batch->words,
    .target = batch->target,
    .labels = batch->labels,
    .captions = batch->captions };

  if (!probe || !seed_probe_wants (probe))
    return FALSE;
  for (guint t = 0; batch->teachers && t < trainer->n_teachers; t++) {
    held.summary[t] = batch->teachers[t].summary;
    held.tokens[t] = batch->teachers[t].tokens;
  }
  if (batch->anchors) {
    held.views = batch->anchors->views;
    held.frames = batch->anchors->frames;
    held.draws = batch->anchors->draws;
  }
  if (batch->has_caption) {
    mask = g_new (gint32, batch->b);
    for (guint i = 0; i < batch->b; i++)
      mask[i] = batch->has_caption[i];
    held.has_caption = mask;
  }
  seed_probe_add (probe, &held);
  return TRUE;
}

guint
seed_trainer_n_held (SeedTrainer *trainer)
{
  return need_probe (trainer) ? seed_probe_n_items (trainer->probe) : 0;
}

/* ---- scores ---- */

typedef struct {
  double agreement, loss;
  guint n_agreement, n_loss; /* items */
} Sum;

static void
add_term (double *sum, gboolean *any, double weight, double loss)
{
  if (isnan (loss) || weight == 0)
    return;
  *sum += weight * loss;
  *any = TRUE;
}

/* The weighted sum of the terms, without the dropping of teachers, which is of chance. */
static double
whole_loss (const SeedLearnerConfig *config, const SeedLearnerReport *report)
{
  gboolean any = FALSE;
  double sum = 0;

  add_term (&sum, &any, config->w_sim, report->similarity);
  add_term (&sum, &any, config->w_seed, report->seed);
  add_term (&sum, &any, config->w_feat, report->features);
  add_term (&sum, &any, config->w_labels, report->labels);
  add_term (&sum, &any, config->w_captions, report->captions);
  add_term (&sum, &any, config->w_histogram, report->histogram);
  /* the guard is negative; a loss that is compared by shares must not be */
  add_term (&sum, &any, config->w_anchor,
      report->anchors + config->anchors.w_guard * log (SEED_ANCHORS_N));
  return any ? sum : NAN;
}

static void
score_batch (SeedTrainer *trainer, const float *values, const SeedProbeBatch *held, Sum *sum)
{
  const SeedLearnerConfig *config = &trainer->config.learner;
  SeedTrainerFeatures features[SEED_LEARNER_MAX_TEACHERS] = { 0 };
  SeedTrainerAnchors anchors = { held->views, held->frames, held->draws };
  SeedTrainerBatch batch = { .b = held->b,
    .words = held->words,
    .target = held->target,
    .labels = held->labels,
    .captions = held->captions,
    .has_caption = held->has_caption };
  SeedLearnerReport report;
  double loss;

  for (guint t = 0; t < trainer->n_teachers; t++)
    features[t] = (SeedTrainerFeatures){ held->summary[t], held->tokens[t] };
  batch.anchors = held->views ? &anchors : NULL;
  batch.teachers = trainer->n_teachers > 0 ? features : NULL;
  if (!seed_trainer_evaluate (trainer, values, &batch, &report))
    return;
  loss = whole_loss (config, &report);
  if (!isnan (loss)) {
    sum->loss += held->b * loss;
    sum->n_loss += held->b;
  }
  if (held->target && config->objective & SEED_OBJECTIVE_DISTIL && config->w_sim > 0) {
    g_autofree double *scratch = g_new (double, 2 * held->b);
    guint e = config->shape.embed_dim;

    sum->agreement +=
        held->b * seed_probe_agreement (seed_learner_features (trainer->learner), sqrt (e),
                      held->target, held->b, e, config->temperature, scratch);
    sum->n_agreement += held->b;
  }
}

SeedTrainerScore
seed_trainer_score (SeedTrainer *trainer, const float *values, gsize n)
{
  SeedProbe *probe = need_probe (trainer);
  g_autofree float *whole = NULL;
  Sum sum = { 0 };
  SeedProbeBatch held;

  if (probe && n < trainer->params.total) { /* heads it never had are those of now */
    whole = g_memdup2 (trainer->ema, trainer->params.total * sizeof (float));
    memcpy (whole, values, n * sizeof (float));
    values = whole;
  }
  for (guint i = 0; probe && i < seed_probe_n_slots (probe); i++)
    if (seed_probe_get (probe, i, &held) && held.b >= 2)
      score_batch (trainer, values, &held, &sum);
  return (SeedTrainerScore){
    .n_items = MAX (sum.n_agreement, sum.n_loss),
    .agreement = sum.n_agreement ? sum.agreement / sum.n_agreement : NAN,
    .loss = sum.n_loss ? sum.loss / sum.n_loss : NAN,
  };
}

/* ---- the data cursor ---- */

void
seed_trainer_consumed (SeedTrainer *trainer, const char *stream, guint64 frame)
{
  guint64 *next = g_hash_table_lookup (trainer->cursor, stream);
  gboolean is_first = !g_hash_table_contains (trainer->running, stream);

  if (!next) {
    if (g_hash_table_size (trainer->cursor) >= MAX_CURSORS)
      return;
    next = g_new0 (guint64, 1);
    g_hash_table_insert (trainer->cursor, g_strdup (stream), next);
  }
  /* a source that started over is followed; a frame that comes late moves nothing back */
  *next = is_first ? frame + 1 : MAX (*next, frame + 1);
  if (is_first)
    g_hash_table_add (trainer->running, g_strdup (stream));
}

void
seed_trainer_begin_run (SeedTrainer *trainer)
{
  g_hash_table_remove_all (trainer->running);
}

guint64
seed_trainer_next_frame (const SeedTrainer *trainer, const char *stream)
{
  const guint64 *next = g_hash_table_lookup (trainer->cursor, stream);

  return next ? *next : 0;
}

/* ---- in a state ---- */

static char *
describe_cursor (const SeedTrainer *trainer)
{
  GString *text = g_string_new (NULL);
  g_autoptr (GList) streams =
      g_list_sort (g_hash_table_get_keys (trainer->cursor), (GCompareFunc) strcmp);

  for (GList *l = streams; l; l = l->next)
    g_string_append_printf (text, "%s%s=%" G_GUINT64_FORMAT, text->len ? " " : "",
        (const char *) l->data, seed_trainer_next_frame (trainer, l->data));
  return g_string_free (text, FALSE);
}

guint
seed_trainer_add_probe_state (SeedTrainer *trainer, GHashTable *metadata, SeedTensor *tensors)
{
  SeedProbe *probe = need_probe (trainer);
  guint n = 0;
  gsize size;

  /* before the first step whatever is calibrated begins anew: from the first frame again */
  if (trainer->step > 0)
    g_hash_table_insert (metadata, g_strdup (CURSOR_KEY), describe_cursor (trainer));
  if (!probe)
    return 0;
  g_hash_table_insert (metadata, g_strdup (PROBE_KEY), seed_probe_describe (probe));
  for (guint i = 0; i < seed_probe_n_slots (probe); i++) {
    SeedTensor tensor = { .dtype = SEED_DTYPE_U8, .n_dims = 1 };

    if (!seed_probe_slot_bytes (probe, i, &tensor.data, &size))
      continue;
    tensor.name = trainer->probe_names[i];
    g_snprintf (trainer->probe_names[i], sizeof trainer->probe_names[i], PROBE_KEY ".%u", i);
    tensor.size = tensor.shape[0] = size;
    tensors[n++] = tensor;
  }
  return n;
}

static gboolean
read_cursor (SeedTrainer *trainer, const char *text)
{
  g_auto (GStrv) entries = g_strsplit (text, " ", MAX_CURSORS + 1);

  for (guint i = 0; entries[i]; i++) {
    char *value = strchr (entries[i], '=');
    guint64 next;

    if (!value || value == entries[i] || i >= MAX_CURSORS ||
        !g_ascii_string_to_unsigned (value + 1, 10, 0, G_MAXINT64, &next, NULL))
      return FALSE;
    g_hash_table_insert (trainer->cursor, g_strndup (entries[i], (gsize) (value - entries[i])),
        g_memdup2 (&next, sizeof next));
  }
  return TRUE;
}

gboolean
seed_trainer_read_probe_state (
    SeedTrainer *trainer, SeedSafetensors *st, const char *path, GError **error)
{
  const char *cursor = seed_safetensors_metadata (st, CURSOR_KEY);

  g_hash_table_remove_all (trainer->cursor);
  if (cursor && *cursor && !read_cursor (trainer, cursor)) {
    g_set_error (error, SEED_ERROR, SEED_ERROR_FORMAT,
        "%s: metadata '%s' is not a list of streams and frames", path, CURSOR_KEY);
    return FALSE;
  }
  g_clear_pointer (&trainer->saved_state, seed_safetensors_unref);
  if (trainer->probe_items > 0)
    trainer->saved_state = seed_safetensors_ref (st);
  return TRUE;
}

void
seed_trainer_init_probe (SeedTrainer *trainer)
{
  trainer->cursor = g_hash_table_new_full (g_str_hash, g_str_equal, g_free, g_free);
  trainer->running = g_hash_table_new_full (g_str_hash, g_str_equal, g_free, NULL);
}

void
seed_trainer_clear_probe (SeedTrainer *trainer)
{
  g_clear_pointer (&trainer->saved_state, seed_safetensors_unref);
  g_clear_pointer (&trainer->probe, seed_probe_free);
  g_clear_pointer (&trainer->cursor, g_hash_table_unref);
  g_clear_pointer (&trainer->running, g_hash_table_unref);
}
