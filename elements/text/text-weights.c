/* SPDX-License-Identifier: MIT */
#include <string.h>

#include "nn/hf-weights.h"
#include "nn/json.h"
#include "text/text-weights.h"

#define ALIGN_BYTES 64u
#define ALIGN_VALUES (ALIGN_BYTES / sizeof (real))
#define MAX_OUT_DIM 65536u

/*
 * Names in a checkpoint; "%u" is the block. Several tensors are stacked along the first axis.
 * @shape: of each, one letter a dimension: d dim, m mlp_dim, v vocab_size, n max_positions, t
 * types, o whatever the first tensor with an o has.
 */
typedef struct {
  const char *names[3];
  const char *shape;
} Rule;

typedef struct {
  const Rule *tensors;         /* [SEED_TEXT_N_TENSORS]; no name: the family has none */
  const Rule *block;           /* [SEED_TEXT_N_BLOCK_TENSORS] */
  const char *const *prefixes; /* before every name, one of these; NULL-ended */
  const char *const *ignored;  /* what begins so is no part of the text encoder; NULL-ended */
} Naming;

#define LAYER "text_model.encoder.layers.%u."

static const Rule clip_block[SEED_TEXT_N_BLOCK_TENSORS] = {
  [SEED_TEXT_NORM1_WEIGHT] = { { LAYER "layer_norm1.weight" }, "d" },
  [SEED_TEXT_NORM1_BIAS] = { { LAYER "layer_norm1.bias" }, "d" },
  [SEED_TEXT_QKV_WEIGHT] = { { LAYER "self_attn.q_proj.weight", LAYER "self_attn.k_proj.weight",
                                 LAYER "self_attn.v_proj.weight" },
      "dd" },
  [SEED_TEXT_QKV_BIAS] = { { LAYER "self_attn.q_proj.bias", LAYER "self_attn.k_proj.bias",
                               LAYER "self_attn.v_proj.bias" },
      "d" },
  [SEED_TEXT_PROJ_WEIGHT] = { { LAYER "self_attn.out_proj.weight" }, "dd" },
  [SEED_TEXT_PROJ_BIAS] = { { LAYER "self_attn.out_proj.bias" }, "d" },
  [SEED_TEXT_NORM2_WEIGHT] = { { LAYER "layer_norm2.weight" }, "d" },
  [SEED_TEXT_NORM2_BIAS] = { { LAYER "layer_norm2.bias" }, "d" },
  [SEED_TEXT_FC1_WEIGHT] = { { LAYER "mlp.fc1.weight" }, "md" },
  [SEED_TEXT_FC1_BIAS] = { { LAYER "mlp.fc1.bias" }, "m" },
  [SEED_TEXT_FC2_WEIGHT] = { { LAYER "mlp.fc2.weight" }, "dm" },
  [SEED_TEXT_FC2_BIAS] = { { LAYER "mlp.fc2.bias" }, "d" },
};

#define CLIP_TENSORS                                                                               \
  [SEED_TEXT_TOKEN] = { { "text_model.embeddings.token_embedding.weight" }, "vd" },                \
  [SEED_TEXT_POSITION] = { { "text_model.embeddings.position_embedding.weight" }, "nd" },          \
  [SEED_TEXT_NORM_WEIGHT] = { { "text_model.final_layer_norm.weight" }, "d" },                     \
  [SEED_TEXT_NORM_BIAS] = { { "text_model.final_layer_norm.bias" }, "d" }

static const Rule clip_tensors[SEED_TEXT_N_TENSORS] = {
  CLIP_TENSORS,
  [SEED_TEXT_HEAD_WEIGHT] = { { "text_projection.weight" }, "od" },
};

static const Rule siglip_tensors[SEED_TEXT_N_TENSORS] = {
  CLIP_TENSORS,
  [SEED_TEXT_HEAD_WEIGHT] = { { "text_model.head.weight" }, "od" },
  [SEED_TEXT_HEAD_BIAS] = { { "text_model.head.bias" }, "o" },
};

#undef LAYER
#define LAYER "encoder.layer.%u."

static const Rule bert_block[SEED_TEXT_N_BLOCK_TENSORS] = {
  [SEED_TEXT_NORM1_WEIGHT] = { { LAYER "attention.output.LayerNorm.weight" }, "d" },
  [SEED_TEXT_NORM1_BIAS] = { { LAYER "attention.output.LayerNorm.bias" }, "d" },
  [SEED_TEXT_QKV_WEIGHT] = { { LAYER "attention.self.query.weight",
                                 LAYER "attention.self.key.weight",
                                 LAYER "attention.self.value.weight" },
      "dd" },
  [SEED_TEXT_QKV_BIAS] = { { LAYER "attention.self.query.bias", LAYER "attention.self.key.bias",
                               LAYER "attention.self.value.bias" },
      "d" },
  [SEED_TEXT_PROJ_WEIGHT] = { { LAYER "attention.output.dense.weight" }, "dd" },
  [SEED_TEXT_PROJ_BIAS] = { { LAYER "attention.output.dense.bias" }, "d" },
  [SEED_TEXT_NORM2_WEIGHT] = { { LAYER "output.LayerNorm.weight" }, "d" },
  [SEED_TEXT_NORM2_BIAS] = { { LAYER "output.LayerNorm.bias" }, "d" },
  [SEED_TEXT_FC1_WEIGHT] = { { LAYER "intermediate.dense.weight" }, "md" },
  [SEED_TEXT_FC1_BIAS] = { { LAYER "intermediate.dense.bias" }, "m" },
  [SEED_TEXT_FC2_WEIGHT] = { { LAYER "output.dense.weight" }, "dm" },
  [SEED_TEXT_FC2_BIAS] = { { LAYER "output.dense.bias" }, "d" },
};

static const Rule bert_tensors[SEED_TEXT_N_TENSORS] = {
  [SEED_TEXT_TOKEN] = { { "embeddings.word_embeddings.weight" }, "vd" },
  [SEED_TEXT_POSITION] = { { "embeddings.position_embeddings.weight" }, "nd" },
  [SEED_TEXT_TYPE] = { { "embeddings.token_type_embeddings.weight" }, "td" },
  [SEED_TEXT_NORM_WEIGHT] = { { "embeddings.LayerNorm.weight" }, "d" },
  [SEED_TEXT_NORM_BIAS] = { { "embeddings.LayerNorm.bias" }, "d" },
};

static const char *const no_prefix[] = { "", NULL };
static const char *const bert_prefixes[] = { "", "bert.", NULL };
static const char *const clip_ignored[] = { "vision_model.", "visual_projection.", "logit_scale",
  "text_model.embeddings.position_ids", NULL };
static const char *const siglip_ignored[] = { "vision_model.", "logit_scale", "logit_bias",
  "text_model.embeddings.position_ids", NULL };
static const char *const bert_ignored[] = { "embeddings.position_ids", "pooler.",
  "bert.embeddings.position_ids", "bert.pooler.", "cls.", NULL };

static const Naming namings[] = {
  [SEED_TEXT_CLIP] = { clip_tensors, clip_block, no_prefix, clip_ignored },
  [SEED_TEXT_SIGLIP] = { siglip_tensors, clip_block, no_prefix, siglip_ignored },
  [SEED_TEXT_BERT] = { bert_tensors, bert_block, bert_prefixes, bert_ignored },
};

/* A tensor of the files and where its values go. */
typedef struct {
  const SeedTensor *tensor;
  const char *path;
  gsize offset, size; /* in values */
} Source;

typedef struct {
  const SeedTextConfig *config;
  const Naming *naming;
  const char *prefix;
  SeedHfWeights *files;
  SeedTextWeights *weights;
  GArray *sources;  /* Source */
  GHashTable *used; /* set of their tensors */
  gsize *offsets;   /* of every parameter: tensors, then those of the blocks; G_MAXSIZE: none */
} Loader;

static gboolean
fail (const char *path, const char *name, SeedErrorCode code, const char *reason, GError **error)
{
  g_autofree char *shown = seed_json_show (name);

  g_set_error (error, SEED_ERROR, code, "%s: tensor %s: %s", path, shown, reason);
  return FALSE;
}

static char *
expand (const char *prefix, const char *pattern, guint block)
{
  const char *place = strstr (pattern, "%u");

  if (!place)
    return g_strconcat (prefix, pattern, NULL);
  return g_strdup_printf (
      "%s%.*s%u%s", prefix, (int) (place - pattern), pattern, block, place + strlen ("%u"));
}

/* Old checkpoints call a norm's weight gamma and its bias beta. */
static const SeedTensor *
find_tensor (const Loader *loader, const char *name, const char **path)
{
  const SeedTensor *tensor = seed_hf_weights_lookup (loader->files, name, path);
  const char *norm = strstr (name, "LayerNorm.");
  g_autofree char *old = NULL;

  if (tensor || !norm)
    return tensor;
  old = g_strdup_printf ("%.*s%s", (int) (norm - name) + (int) strlen ("LayerNorm."), name,
      g_str_has_suffix (name, "weight") ? "gamma" : "beta");
  return seed_hf_weights_lookup (loader->files, old, path);
}

static guint64
dimension (const Loader *loader, char letter)
{
  const SeedTextConfig *config = loader->config;

  switch (letter) {
  case 'd':
    return config->dim;
  case 'm':
    return config->mlp_dim;
  case 'v':
    return config->vocab_size;
  case 'n':
    return config->max_positions;
  case 't':
    return config->types;
  default:
    return loader->weights->out_dim; /* 0 until it is known */
  }
}

static gboolean
check_shape (
    Loader *loader, const SeedTensor *tensor, const char *path, const char *shape, GError **error)
{
  g_autoptr (GString) wanted = g_string_new ("expected [");
  g_autofree char *found = seed_tensor_describe (tensor->dtype, tensor->shape, tensor->n_dims);
  guint n = (guint) strlen (shape);
  gboolean fits = tensor->n_dims == n;

  for (guint i = 0; i < n; i++) {
    guint64 size = dimension (loader, shape[i]);

    if (size == 0 && fits && tensor->shape[i] >= 1 && tensor->shape[i] <= MAX_OUT_DIM)
      loader->weights->out_dim = (guint) tensor->shape[i];
    else
      fits = fits && size > 0 && tensor->shape[i] == size;
    g_string_append_printf (wanted, "%s%" G_GUINT64_FORMAT, i ? ", " : "", size);
  }
  if (fits)
    return TRUE;
  g_string_append_printf (wanted, "], found %s", found);
  return fail (path, tensor->name, SEED_ERROR_MISMATCH, wanted->str, error);
}

static gboolean
add_source (Loader *loader, const char *pattern, guint block, const char *shape, gsize *size,
    GError **error)
{
  g_autofree char *name = expand (loader->prefix, pattern, block);
  Source source = { .offset = loader->weights->n_values + *size, .size = 1 };

  source.tensor = find_tensor (loader, name, &source.path);
  if (!source.tensor)
    return fail (source.path, name, SEED_ERROR_NOT_FOUND, "is missing", error);
  if (!check_shape (loader, source.tensor, source.path, shape, error))
    return FALSE;
  /* of a tensor that is in a file: the product fits */
  for (guint i = 0; i < source.tensor->n_dims; i++)
    source.size *= (gsize) source.tensor->shape[i];
  *size += source.size;
  loader->weights->n_params += source.size;
  g_array_append_val (loader->sources, source);
  g_hash_table_add (loader->used, (gpointer) source.tensor);
  return TRUE;
}

static gboolean
add_parameter (Loader *loader, const Rule *rule, guint block, gsize *offset, GError **error)
{
  gsize size = 0;

  *offset = loader->weights->n_values;
  for (guint i = 0; i < G_N_ELEMENTS (rule->names) && rule->names[i]; i++)
    if (!add_source (loader, rule->names[i], block, rule->shape, &size, error))
      return FALSE;
  loader->weights->n_values += (size + ALIGN_VALUES - 1) / ALIGN_VALUES * ALIGN_VALUES;
  return TRUE;
}

static gboolean
is_missing_head (const Loader *loader, SeedTextTensor tensor)
{
  const Rule *rule = &loader->naming->tensors[tensor];
  const char *path;

  return !rule->names[0] || (tensor >= SEED_TEXT_HEAD_WEIGHT && !loader->config->projected &&
                                !seed_hf_weights_lookup (loader->files, rule->names[0], &path));
}

static gboolean
add_all (Loader *loader, GError **error)
{
  gsize *offset = loader->offsets;

  for (guint t = 0; t < SEED_TEXT_N_TENSORS; t++, offset++)
    if (is_missing_head (loader, (SeedTextTensor) t))
      *offset = G_MAXSIZE;
    else if (!add_parameter (loader, &loader->naming->tensors[t], 0, offset, error))
      return FALSE;
  for (guint b = 0; b < loader->config->depth; b++)
    for (guint t = 0; t < SEED_TEXT_N_BLOCK_TENSORS; t++, offset++)
      if (!add_parameter (loader, &loader->naming->block[t], b, offset, error))
        return FALSE;
  return TRUE;
}

static gboolean
is_ignored (const Loader *loader, const char *name)
{
  for (guint i = 0; loader->naming->ignored[i]; i++)
    if (g_str_has_prefix (name, loader->naming->ignored[i]))
      return TRUE;
  return FALSE;
}

static gboolean
check_all_known (const Loader *loader, GError **error)
{
  guint n = seed_hf_weights_n_tensors (loader->files);

  for (guint i = 0; i < n; i++) {
    const char *path;
    const SeedTensor *tensor = seed_hf_weights_get (loader->files, i, &path);

    if (!g_hash_table_contains (loader->used, tensor) && !is_ignored (loader, tensor->name))
      return fail (path, tensor->name, SEED_ERROR_MISMATCH,
          "is no part of the text encoder; is this the model that config.json describes?", error);
  }
  return TRUE;
}

static gboolean
copy_values (Loader *loader, GError **error)
{
  SeedTextWeights *weights = loader->weights;

  /* no more than the files themselves take, which have been seen to hold all of it */
  weights->values = g_aligned_alloc0 (weights->n_values, sizeof (real), ALIGN_BYTES);
  for (guint i = 0; i < loader->sources->len; i++) {
    const Source *source = &g_array_index (loader->sources, Source, i);

    if (!seed_tensor_to_float (
            source->tensor, source->path, weights->values + source->offset, source->size, error))
      return FALSE;
  }
  weights->sha256 = seed_hf_weights_sha256 (loader->files);
  return seed_hf_weights_check_unchanged (loader->files, error);
}

static SeedPackedLinear *
pack (const SeedBackend *backend, guint out, guint in, const real *weight)
{
  SeedPackedLinear *packed = backend->packed_new (out, in);

  backend->pack (packed, weight);
  return packed;
}

static void
pack_block (const Loader *loader, SeedTextBlock *block, const gsize *offsets)
{
  const SeedBackend *backend = loader->weights->backend;
  guint d = loader->config->dim, m = loader->config->mlp_dim;

  for (guint t = 0; t < SEED_TEXT_N_BLOCK_TENSORS; t++)
    block->tensors[t] = loader->weights->values + offsets[t];
  block->linears[SEED_TEXT_QKV] = pack (backend, 3 * d, d, block->tensors[SEED_TEXT_QKV_WEIGHT]);
  block->linears[SEED_TEXT_PROJ] = pack (backend, d, d, block->tensors[SEED_TEXT_PROJ_WEIGHT]);
  block->linears[SEED_TEXT_FC1] = pack (backend, m, d, block->tensors[SEED_TEXT_FC1_WEIGHT]);
  block->linears[SEED_TEXT_FC2] = pack (backend, d, m, block->tensors[SEED_TEXT_FC2_WEIGHT]);
}

static void
pack_all (Loader *loader)
{
  SeedTextWeights *weights = loader->weights;
  guint d = loader->config->dim;

  for (guint t = 0; t < SEED_TEXT_N_TENSORS; t++)
    if (loader->offsets[t] != G_MAXSIZE)
      weights->tensors[t] = weights->values + loader->offsets[t];
  weights->depth = loader->config->depth;
  weights->blocks = g_new0 (SeedTextBlock, weights->depth);
  for (guint b = 0; b < weights->depth; b++)
    pack_block (loader, &weights->blocks[b],
        loader->offsets + SEED_TEXT_N_TENSORS + (gsize) b * SEED_TEXT_N_BLOCK_TENSORS);
  if (weights->tensors[SEED_TEXT_HEAD_WEIGHT])
    weights->head =
        pack (weights->backend, weights->out_dim, d, weights->tensors[SEED_TEXT_HEAD_WEIGHT]);
  else
    weights->out_dim = d;
}

static const char *
find_prefix (const Loader *loader)
{
  const char *const *prefixes = loader->naming->prefixes;

  for (guint i = 0; prefixes[i]; i++) {
    g_autofree char *name =
        g_strconcat (prefixes[i], loader->naming->tensors[SEED_TEXT_TOKEN].names[0], NULL);

    if (seed_hf_weights_lookup (loader->files, name, NULL))
      return prefixes[i];
  }
  return prefixes[0];
}

SeedTextWeights *
seed_text_weights_load (const SeedTextConfig *config, const char *folder, GError **error)
{
  g_autoptr (SeedHfWeights) files = seed_hf_weights_open (folder, error);
  g_autoptr (SeedTextWeights) weights = NULL;
  g_autoptr (GArray) sources = g_array_new (FALSE, FALSE, sizeof (Source));
  g_autoptr (GHashTable) used = g_hash_table_new (NULL, NULL);
  g_autofree gsize *offsets =
      g_new (gsize, SEED_TEXT_N_TENSORS + (gsize) config->depth * SEED_TEXT_N_BLOCK_TENSORS);
  Loader loader = { config, &namings[config->family], "", files, NULL, sources, used, offsets };

  if (!files || !seed_backend_self_test (error))
    return NULL;
  loader.weights = weights = g_new0 (SeedTextWeights, 1);
  weights->backend = seed_backend_get ();
  loader.prefix = find_prefix (&loader);
  if (!add_all (&loader, error) || !check_all_known (&loader, error) ||
      !copy_values (&loader, error))
    return NULL;
  pack_all (&loader);
  return g_steal_pointer (&weights);
}

void
seed_text_weights_free (SeedTextWeights *weights)
{
  if (!weights)
    return;
  for (guint b = 0; b < weights->depth; b++)
    for (guint l = 0; l < SEED_TEXT_N_LINEARS; l++)
      weights->backend->packed_free (weights->blocks[b].linears[l]);
  if (weights->head)
    weights->backend->packed_free (weights->head);
  g_free (weights->blocks);
  g_aligned_free (weights->values);
  g_free (weights->sha256);
  g_free (weights);
}

gsize
seed_text_weights_bytes (const SeedTextWeights *weights)
{
  gsize bytes = sizeof *weights + weights->n_values * sizeof *weights->values +
                weights->depth * sizeof *weights->blocks;

  for (guint b = 0; b < weights->depth; b++)
    for (guint l = 0; l < SEED_TEXT_N_LINEARS; l++)
      bytes += weights->backend->packed_bytes (weights->blocks[b].linears[l]);
  return bytes + (weights->head ? weights->backend->packed_bytes (weights->head) : 0);
}
