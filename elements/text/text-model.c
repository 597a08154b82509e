/* SPDX-License-Identifier: MIT */
#include <string.h>

#include <seed/error.h>
#include <seed/text.h>

#include "text/text-encoder.h"
#include "text/tokenizer.h"
#include "text/unicode.h"

/* Of one pass: enough for matmuls to be fast, no more memory than needed. */
#define MAX_ROWS 2048u
#define MAX_BATCH_TOKENS (1u << 30)

struct _SeedTextModel {
  gatomicrefcount refs;
  char *name;
  SeedTextConfig config;
  SeedTextWeights *weights;
  SeedTokenizer *tokenizer;
  SeedTextModelInfo info;
};

static void
fill_info (SeedTextModel *model)
{
  model->info = (SeedTextModelInfo){
    .name = model->name,
    .family = model->config.family_name,
    .sha256 = model->weights->sha256,
    .dim = model->weights->out_dim,
    .normalised = model->config.normalise,
    .max_tokens = model->config.max_tokens,
    .n_vocabulary = model->config.vocab_size,
    .n_params = model->weights->n_params,
    .memory_bytes =
        seed_text_weights_bytes (model->weights) + seed_tokenizer_bytes (model->tokenizer),
  };
}

/* The least of what the position embeddings, the tokenizer and the sentence encoder allow. */
static void
settle_max_tokens (SeedTextModel *model)
{
  guint64 limit = seed_tokenizer_max_length (model->tokenizer);
  guint max = model->config.max_positions;

  if (limit > 0)
    max = (guint) MIN (limit, max);
  if (model->config.max_tokens > 0)
    max = MIN (model->config.max_tokens, max);
  model->config.max_tokens = max;
}

static gboolean
check_tokenizer (SeedTextModel *model, const char *folder, GError **error)
{
  guint32 end = seed_tokenizer_end (model->tokenizer);

  if (end > model->config.vocab_size) {
    g_set_error (error, SEED_ERROR, SEED_ERROR_MISMATCH,
        "%s: the tokenizer gives ids up to %u, but the model has embeddings for %u tokens only "
        "(vocab_size); do the tokenizer's files belong to this model?",
        folder, end - 1, model->config.vocab_size);
    return FALSE;
  }
  return TRUE;
}

SeedTextModel *
seed_text_model_load (const char *folder, GError **error)
{
  static const SeedTokenizerKind kinds[] = {
    [SEED_TEXT_CLIP] = SEED_TOKENIZER_CLIP,
    [SEED_TEXT_SIGLIP] = SEED_TOKENIZER_SIGLIP,
    [SEED_TEXT_BERT] = SEED_TOKENIZER_BERT,
  };
  g_autoptr (SeedTextModel) model = g_new0 (SeedTextModel, 1);

  g_atomic_ref_count_init (&model->refs);
  if (!seed_text_config_read (&model->config, folder, error))
    return NULL;
  model->tokenizer = seed_tokenizer_load (kinds[model->config.family], folder, error);
  if (!model->tokenizer || !check_tokenizer (model, folder, error))
    return NULL;
  settle_max_tokens (model);
  model->weights = seed_text_weights_load (&model->config, folder, error);
  if (!model->weights)
    return NULL;
  model->name = g_path_get_basename (folder);
  fill_info (model);
  return g_steal_pointer (&model);
}

SeedTextModel *
seed_text_model_ref (SeedTextModel *model)
{
  g_atomic_ref_count_inc (&model->refs);
  return model;
}

void
seed_text_model_unref (SeedTextModel *model)
{
  if (!model || !g_atomic_ref_count_dec (&model->refs))
    return;
  seed_text_weights_free (model->weights);
  seed_tokenizer_free (model->tokenizer);
  g_free (model->name);
  g_free (model);
}

const SeedTextModelInfo *
seed_text_model_get_info (const SeedTextModel *model)
{
  return &model->info;
}

/* Appends the ids of @text, without padding. */
static gboolean
tokenize (const SeedTextModel *model, const char *text, GArray *ids, GError **error)
{
  g_autoptr (GString) lower = NULL;
  gsize length = strlen (text);

  /* what is too long or not UTF-8 is the tokenizer's to refuse */
  if (model->config.lower_case_first && seed_tokenizer_is_cased (model->tokenizer) &&
      length <= SEED_TEXT_MAX_BYTES && g_utf8_validate_len (text, length, NULL)) {
    lower = g_string_sized_new (length);
    seed_unicode_append_lower_text (lower, text, length);
    text = lower->str;
  }
  return seed_tokenizer_encode (model->tokenizer, text, model->config.max_tokens, ids, error);
}

static void
append_padding (const SeedTextModel *model, GArray *ids, guint start, guint length)
{
  guint32 pad = seed_tokenizer_pad_id (model->tokenizer);

  while (ids->len - start < length)
    g_array_append_val (ids, pad);
}

/* The place of the first @id among those from @start on, or G_MAXUINT. */
static guint
find_id (const GArray *ids, guint start, guint32 id)
{
  for (guint i = start; i < ids->len; i++)
    if (g_array_index (ids, guint32, i) == id)
      return i - start;
  return G_MAXUINT;
}

static guint32
largest_id (const GArray *ids, guint start)
{
  guint32 largest = 0;

  for (guint i = start; i < ids->len; i++)
    largest = MAX (largest, g_array_index (ids, guint32, i));
  return largest;
}

/*
 * The token that stands for the text whose ids begin at @start, with the padding that may come
 * first. Nothing after it matters in a causal model: it is cut off.
 */
static guint
settle_pooled (const SeedTextModel *model, GArray *ids, guint start)
{
  guint max = model->config.max_tokens, used = ids->len - start, pooled = 0;

  if (model->config.pad)
    append_padding (model, ids, start, max);
  switch (model->config.pooling) {
  case SEED_TEXT_POOL_EOS:
  case SEED_TEXT_POOL_LARGEST:
    append_padding (model, ids, start, MIN (used + 1, max));
    pooled = find_id (ids, start,
        model->config.pooling == SEED_TEXT_POOL_EOS ? model->config.eos_id
                                                    : largest_id (ids, start));
    if (pooled == G_MAXUINT)
      pooled = 0;
    break;
  case SEED_TEXT_POOL_LAST:
    pooled = ids->len - start - 1;
    break;
  case SEED_TEXT_POOL_CLS:
  case SEED_TEXT_POOL_MEAN:
    break;
  }
  if (model->config.causal)
    g_array_set_size (ids, start + pooled + 1);
  return pooled;
}

typedef struct {
  GArray *ids, *starts, *pooled; /* guint32, guint, guint: see SeedTextBatch */
} Tokens;

static gboolean
tokenize_all (
    const SeedTextModel *model, const char *const *texts, guint n, Tokens *tokens, GError **error)
{
  guint start = 0;

  g_array_append_val (tokens->starts, start);
  for (guint i = 0; i < n; i++) {
    guint pooled;

    if (!tokenize (model, texts[i], tokens->ids, error)) {
      g_prefix_error (error, "text %u: ", i);
      return FALSE;
    }
    pooled = settle_pooled (model, tokens->ids, start);
    start = tokens->ids->len;
    if (start > MAX_BATCH_TOKENS) {
      g_set_error (error, SEED_ERROR, SEED_ERROR_LIMIT,
          "text %u: more than %u tokens in one call; split it", i, MAX_BATCH_TOKENS);
      return FALSE;
    }
    g_array_append_val (tokens->starts, start);
    g_array_append_val (tokens->pooled, pooled);
  }
  return TRUE;
}

/* As many texts from @first on as one pass takes, at least one. */
static guint
count_part (const guint *starts, guint first, guint n)
{
  guint end = first + 1;

  while (end < n && starts[end + 1] - starts[first] <= MAX_ROWS)
    end++;
  return end - first;
}

static gboolean
run_part (const SeedTextModel *model, const Tokens *tokens, guint first, guint n, float *out,
    GError **error)
{
  const guint *starts = &g_array_index (tokens->starts, guint, first);
  g_autofree guint *own = g_new (guint, n + 1);
  SeedTextBatch batch = { &g_array_index (tokens->ids, guint32, starts[0]), own,
    &g_array_index (tokens->pooled, guint, first), n };

  for (guint i = 0; i <= n; i++)
    own[i] = starts[i] - starts[0];
  return seed_text_forward (
      &model->config, model->weights, &batch, out + (gsize) first * model->info.dim, error);
}

gboolean
seed_text_encode (
    SeedTextModel *model, const char *const *texts, guint n, float *out, GError **error)
{
  g_autoptr (GArray) ids = g_array_new (FALSE, FALSE, sizeof (guint32));
  g_autoptr (GArray) starts = g_array_new (FALSE, FALSE, sizeof (guint));
  g_autoptr (GArray) pooled = g_array_new (FALSE, FALSE, sizeof (guint));
  Tokens tokens = { ids, starts, pooled };

  if (!tokenize_all (model, texts, n, &tokens, error))
    return FALSE;
  for (guint first = 0, part; first < n; first += part) {
    part = count_part (&g_array_index (starts, guint, 0), first, n);
    if (!run_part (model, &tokens, first, part, out, error))
      return FALSE;
  }
  return TRUE;
}

gboolean
seed_text_tokenize (
    SeedTextModel *model, const char *text, guint32 *ids, guint *n_used, GError **error)
{
  g_autoptr (GArray) found = g_array_new (FALSE, FALSE, sizeof (guint32));
  guint max = model->config.max_tokens;

  if (!tokenize (model, text, found, error))
    return FALSE;
  if (n_used)
    *n_used = found->len;
  append_padding (model, found, 0, max);
  memcpy (ids, found->data, max * sizeof *ids);
  return TRUE;
}
