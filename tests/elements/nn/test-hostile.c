/* SPDX-License-Identifier: MIT */
/*
 * Copies of good checkpoints with one thing wrong: each is refused with an error that names the
 * file and, where one is to blame, the tensor or key.
 */
#include <math.h>
#include <string.h>
#include <unistd.h>

#include <glib/gstdio.h>

#include <seed/error.h>
#include <seed/model.h>
#include <seed/safetensors.h>

#include "nn/checkpoint.h"

typedef enum {
  DROP,    /* tensor a is not there */
  ADD,     /* a tensor of name a is there too */
  FLATTEN, /* tensor a has one dimension */
  INTEGER, /* tensor a is of integers */
  SPOIL,   /* tensor a holds a NaN */
  TEXT,    /* in file, a becomes b */
  REMOVE,  /* file is not there */
  LOOP,    /* file is a link to itself */
  CUT,     /* file ends in its middle */
  GARBAGE, /* file is noise */
} Wrong;

typedef struct {
  const char *folder;
  Wrong wrong;
  const char *file, *a, *b;
  SeedErrorCode code;
  const char *message;
} Case;

#define MODEL "model.safetensors"
#define INDEX "model.safetensors.index.json"
#define SHARDED "dinov2-tiny-swiglu-sharded"
#define SHARD_1 "model-00001-of-00003.safetensors"
#define SHARD_2 "model-00002-of-00003.safetensors"

static const Case cases[] = {
  /* tensors, one of each kind of row in the families' tables */
  { "deit-tiny-distilled", DROP, MODEL, "deit.embeddings.distillation_token", NULL,
      SEED_ERROR_NOT_FOUND, MODEL ": tensor \"deit.embeddings.distillation_token\": is missing" },
  { "dinov2-tiny", DROP, MODEL, "encoder.layer.1.layer_scale2.lambda1", NULL, SEED_ERROR_NOT_FOUND,
      "tensor \"encoder.layer.1.layer_scale2.lambda1\": is missing" },
  { "dinov2-tiny", SPOIL, MODEL, "encoder.layer.0.layer_scale1.lambda1", NULL, SEED_ERROR_NUMERIC,
      "encoder.layer.0.layer_scale1.lambda1" },
  { "dinov2-tiny", SPOIL, MODEL, "embeddings.position_embeddings", NULL, SEED_ERROR_NUMERIC,
      "embeddings.position_embeddings" },
  { "dinov2-tiny", FLATTEN, MODEL, "embeddings.position_embeddings", NULL, SEED_ERROR_MISMATCH,
      "tensor \"embeddings.position_embeddings\": is F32 [1200], expected" },
  { "dinov2-tiny", ADD, MODEL, "embeddings.register_tokens", NULL, SEED_ERROR_MISMATCH,
      "tensor \"embeddings.register_tokens\": is no part of a dinov2 of 2 blocks" },
  { "dinov2-tiny-registers", DROP, MODEL, "embeddings.register_tokens", NULL, SEED_ERROR_NOT_FOUND,
      "tensor \"embeddings.register_tokens\": is missing" },
  { "clip-tiny", DROP, MODEL, "vision_model.pre_layrnorm.weight", NULL, SEED_ERROR_NOT_FOUND,
      "tensor \"vision_model.pre_layrnorm.weight\": is missing" },
  { "clip-tiny", FLATTEN, MODEL, "visual_projection.weight", NULL, SEED_ERROR_MISMATCH,
      "tensor \"visual_projection.weight\": is F32 [480], expected" },
  { "clip-tiny", ADD, MODEL, "vision_model.encoder.layers.2.layer_norm1.weight", NULL,
      SEED_ERROR_MISMATCH, "is no part of a clip of 2 blocks" },
  { "siglip-tiny", DROP, MODEL, "vision_model.head.probe", NULL, SEED_ERROR_NOT_FOUND,
      "tensor \"vision_model.head.probe\": is missing" },
  { "siglip-tiny-vision", INTEGER, MODEL, "vision_model.head.attention.in_proj_weight", NULL,
      SEED_ERROR_MISMATCH, "in_proj_weight\": is I32 [72, 24], expected" },
  { "timm-tiny", DROP, MODEL, "patch_embed.proj.weight", NULL, SEED_ERROR_NOT_FOUND,
      "tensor \"patch_embed.proj.weight\": is missing" },
  { "timm-tiny", FLATTEN, MODEL, "patch_embed.proj.weight", NULL, SEED_ERROR_MISMATCH,
      "tensor \"patch_embed.proj.weight\": has 1 dimensions, expected 4" },
  { "timm-tiny", DROP, MODEL, "pos_embed", NULL, SEED_ERROR_NOT_FOUND, "tensor \"pos_embed\"" },
  { "timm-tiny", DROP, MODEL, "blocks.0.norm1.weight", NULL, SEED_ERROR_INVALID,
      "depth (num_hidden_layers) is 0" },
  { "timm-tiny", DROP, MODEL, "blocks.0.attn.qkv.bias", NULL, SEED_ERROR_MISMATCH,
      "tensor \"blocks.1.attn.qkv.bias\": is no part of a timm" },
  { "timm-tiny", DROP, MODEL, "cls_token", NULL, SEED_ERROR_INVALID,
      "the summary cannot be the class token" },
  { "timm-tiny", ADD, MODEL, "dist_token", NULL, SEED_ERROR_MISMATCH,
      "tensor \"dist_token\": is no part of a timm" },
  { "timm-tiny", ADD, MODEL, "blocks.0.attn.q_norm.weight", NULL, SEED_ERROR_MISMATCH,
      "tensor \"blocks.0.attn.q_norm.weight\": is no part of a timm" },
  { "timm-tiny-gap-reg4", ADD, MODEL, "norm.weight", NULL, SEED_ERROR_MISMATCH,
      "tensor \"norm.weight\": is no part of a timm" },
  { "timm-tiny-siglip", DROP, MODEL, "attn_pool.kv.weight", NULL, SEED_ERROR_NOT_FOUND,
      "tensor \"attn_pool.kv.weight\": is missing" },

  /* configurations that the tensors contradict, or that nothing can be done with */
  { "dinov2-tiny", TEXT, "config.json", "\"mlp_ratio\": 2", "\"mlp_ratio\": 3", SEED_ERROR_MISMATCH,
      "tensor \"encoder.layer.0.mlp.fc1.weight\": is F32 [48, 24], expected" },
  { "dinov2-tiny", TEXT, "config.json", "\"mlp_ratio\": 2", "\"mlp_ratio\": 1e300",
      SEED_ERROR_INVALID, "config.json: key \"mlp_ratio\"" },
  { "dinov2-tiny", TEXT, "config.json", "\"use_swiglu_ffn\": false", "\"use_swiglu_ffn\": true",
      SEED_ERROR_NOT_FOUND, "tensor \"encoder.layer.0.mlp.weights_in.weight\": is missing" },
  { "dinov2-tiny", TEXT, "config.json", "\"image_size\": 28", "\"image_size\": 2147483647",
      SEED_ERROR_LIMIT, "config.json: image_size is 2147483644" },
  { "dinov2-tiny", TEXT, "preprocessor_config.json", "\"shortest_edge\": 19",
      "\"shortest_edge\": 2000000000", SEED_ERROR_LIMIT, "resized to 2000000000 pixels" },
  { "timm-tiny", TEXT, "config.json", "\"crop_pct\": 0.9", "\"crop_pct\": 0.005",
      SEED_ERROR_INVALID, "key \"pretrained_cfg.crop_pct\": is 0.005" },
  { "dinov2-tiny", TEXT, "config.json", "\"image_size\": 28", "\"image_size\": 8192",
      SEED_ERROR_LIMIT, "config.json" },
  { "dinov2-tiny-registers", TEXT, "config.json", "\"num_register_tokens\": 3",
      "\"num_register_tokens\": 2000000000", SEED_ERROR_LIMIT, "2000000000 registers" },
  { "clip-tiny", TEXT, "config.json", "\"projection_dim\": 20", "\"projection_dim\": 4000000000",
      SEED_ERROR_LIMIT, "config.json:" },
  { "clip-tiny", TEXT, "config.json", "\"projection_dim\": 20", "\"projection_dim\": 21",
      SEED_ERROR_MISMATCH, "tensor \"visual_projection.weight\": is F32 [20, 24], expected" },
  { "clip-tiny", TEXT, "config.json", "\"hidden_size\": 24", "\"hidden_size\": \"24\"",
      SEED_ERROR_FORMAT, "key \"hidden_size\": expected a number" },
  { "clip-tiny", TEXT, "config.json", "\"vision_config\": {", "\"vision_config\": [], \"more\": {",
      SEED_ERROR_FORMAT, "key \"vision_config\": expected an object" },
  { "clip-tiny", TEXT, "config.json", "\"patch_size\": 4", "\"patch_size\": 4, \"patch_size\": 4",
      SEED_ERROR_FORMAT, "key \"patch_size\": is here twice" },
  { "siglip-tiny-vision", TEXT, "config.json", "\"patch_size\": 4",
      "\"patch_size\": 4, \"vision_use_head\": false", SEED_ERROR_UNSUPPORTED,
      "config.json: key \"vision_use_head\"" },
  { "timm-tiny", TEXT, "config.json", "vit_small_patch16_224", "vit_base_patch16_rpn_224",
      SEED_ERROR_UNSUPPORTED, "\"vit_base_patch16_rpn_224\" is not supported" },
  { "timm-tiny", TEXT, "config.json", "vit_small_patch16_224", "resnet50", SEED_ERROR_UNSUPPORTED,
      "config.json: key \"architecture\": \"resnet50\" is not supported" },
  { "timm-tiny", TEXT, "config.json", "\"global_pool\": \"token\"", "\"global_pool\": \"max\"",
      SEED_ERROR_UNSUPPORTED, "key \"global_pool\": \"max\" is not supported" },
  { "timm-tiny", TEXT, "config.json", "\"global_pool\": \"token\"", "\"global_pool\": \"map\"",
      SEED_ERROR_NOT_FOUND, "tensor \"attn_pool.latent\": is missing" },
  { "timm-tiny", TEXT, "config.json", "\"mlp_ratio\": 2", "\"qk_norm\": true",
      SEED_ERROR_UNSUPPORTED, "key \"qk_norm\": this argument" },
  { "timm-tiny", TEXT, "config.json", "\"crop_pct\": 0.9", "\"crop_pct\": 0", SEED_ERROR_INVALID,
      "key \"pretrained_cfg.crop_pct\": is 0" },
  { "timm-tiny", TEXT, "config.json", "\"crop_mode\": \"center\"", "\"crop_mode\": \"border\"",
      SEED_ERROR_UNSUPPORTED, "key \"pretrained_cfg.crop_mode\": \"border\" is not supported" },
  { "timm-tiny", TEXT, "config.json", "\"interpolation\": \"bicubic\"",
      "\"interpolation\": \"random\"", SEED_ERROR_UNSUPPORTED, "\"random\" is not supported" },
  { "timm-tiny", TEXT, "config.json", "\"num_heads\": 3", "\"num_heads\": 5", SEED_ERROR_INVALID,
      "heads (num_attention_heads) 5" },
  { "timm-tiny", TEXT, "config.json", "      16,\n      16\n", "      20,\n      20\n",
      SEED_ERROR_MISMATCH, "tensor \"pos_embed\": is F32 [1, 17, 24], expected" },
  { "timm-tiny", TEXT, "config.json", "      16,\n      16\n", "      16,\n      20\n",
      SEED_ERROR_UNSUPPORTED, "key \"input_size\": only squares" },

  /* several files */
  { SHARDED, REMOVE, SHARD_2, NULL, NULL, SEED_ERROR_NOT_FOUND, SHARD_2 },
  { SHARDED, LOOP, SHARD_2, NULL, NULL, SEED_ERROR_IO, SHARD_2 },
  { SHARDED, CUT, SHARD_2, NULL, NULL, SEED_ERROR_FORMAT, SHARD_2 },
  { SHARDED, GARBAGE, SHARD_1, NULL, NULL, SEED_ERROR_FORMAT, SHARD_1 },
  { SHARDED, LOOP, INDEX, NULL, NULL, SEED_ERROR_IO, INDEX },
  { SHARDED, REMOVE, INDEX, NULL, NULL, SEED_ERROR_NOT_FOUND, MODEL },
  { SHARDED, SPOIL, SHARD_1, "dinov2.embeddings.cls_token", NULL, SEED_ERROR_NUMERIC,
      "dinov2.embeddings.cls_token" },
  { SHARDED, DROP, SHARD_1, "dinov2.embeddings.cls_token", NULL, SEED_ERROR_MISMATCH,
      INDEX ": tensor \"dinov2.embeddings.cls_token\": is not in " SHARD_1 },
  { SHARDED, ADD, SHARD_1, "dinov2.more", NULL, SEED_ERROR_MISMATCH,
      SHARD_1 ": tensor \"dinov2.more\": is here, but " },
  { SHARDED, TEXT, INDEX, "\"dinov2.embeddings.cls_token\": \"" SHARD_1,
      "\"dinov2.embeddings.cls_token\": \"" SHARD_2, SEED_ERROR_MISMATCH,
      SHARD_1 ": tensor \"dinov2.embeddings.cls_token\": is here, but " },
  { SHARDED, TEXT, INDEX, "\"" SHARD_1, "\"../" SHARD_1, SEED_ERROR_INVALID,
      "must be the name of a file in the same folder" },
  { SHARDED, TEXT, INDEX, "\"" SHARD_1, "\"/etc/passwd", SEED_ERROR_INVALID,
      "must be the name of a file in the same folder" },
  { SHARDED, TEXT, INDEX, "\"" SHARD_1 "\"", "\"..\"", SEED_ERROR_INVALID,
      "must be the name of a file in the same folder" },
  { SHARDED, TEXT, INDEX, "\"" SHARD_1 "\"", "7", SEED_ERROR_FORMAT, "expected a string" },
  { SHARDED, TEXT, INDEX, "dinov2.embeddings.mask_token", "dinov2.embeddings.cls_token",
      SEED_ERROR_FORMAT, "tensor \"dinov2.embeddings.cls_token\": is here twice" },
  { SHARDED, TEXT, INDEX, "\"weight_map\"", "\"weights\"", SEED_ERROR_FORMAT, "\"weight_map\"" },
  { "clip-tiny", LOOP, MODEL, NULL, NULL, SEED_ERROR_IO, MODEL },
  { "clip-tiny", LOOP, "config.json", NULL, NULL, SEED_ERROR_IO, "config.json" },
  { "clip-tiny", LOOP, "preprocessor_config.json", NULL, NULL, SEED_ERROR_IO,
      "preprocessor_config.json" },
};

/* A copy of a fixture */

typedef struct {
  char *folder;
} Copy;

static char *
in_copy (const Copy *copy, const char *file)
{
  return g_build_filename (copy->folder, file, NULL);
}

static void
copy_file (const char *from, const char *to)
{
  g_autofree char *contents = NULL;
  gsize length;

  g_assert_true (g_file_get_contents (from, &contents, &length, NULL));
  g_assert_true (g_file_set_contents (to, contents, (gssize) length, NULL));
}

static void
copy_init (Copy *copy, const char *fixture)
{
  g_autofree char *source = g_build_filename (SEED_TEST_DATA, "models", fixture, NULL);
  g_autoptr (GDir) dir = g_dir_open (source, 0, NULL);
  const char *name;

  g_assert_nonnull (dir);
  copy->folder = g_dir_make_tmp ("seed-XXXXXX", NULL);
  while ((name = g_dir_read_name (dir))) {
    g_autofree char *from = g_build_filename (source, name, NULL);
    g_autofree char *to = in_copy (copy, name);

    if (!g_str_equal (name, "expected.safetensors"))
      copy_file (from, to);
  }
}

static void
copy_clear (Copy *copy)
{
  g_autoptr (GDir) dir = g_dir_open (copy->folder, 0, NULL);
  const char *name;

  while ((name = g_dir_read_name (dir))) {
    g_autofree char *path = in_copy (copy, name);

    g_assert_cmpint (g_remove (path), ==, 0);
  }
  g_assert_cmpint (g_rmdir (copy->folder), ==, 0);
  g_free (copy->folder);
}

static gpointer
spoilt (const SeedTensor *tensor)
{
  float *values = g_memdup2 (tensor->data, tensor->size);

  g_assert_cmpint (tensor->dtype, ==, SEED_DTYPE_F32);
  values[tensor->size / sizeof *values / 2] = NAN;
  return values;
}

/* The tensors of @path written anew with the change. */
static void
change_tensor (const char *path, Wrong wrong, const char *name)
{
  g_autoptr (GError) error = NULL;
  g_autoptr (SeedSafetensors) st = seed_safetensors_open (path, &error);
  g_autofree gpointer values = NULL;
  static const float one = 1;
  guint n = 0, found = 0;
  g_autofree SeedTensor *tensors = NULL;

  g_assert_no_error (error);
  tensors = g_new0 (SeedTensor, seed_safetensors_n_tensors (st) + 1);
  for (guint i = 0; i < seed_safetensors_n_tensors (st); i++) {
    SeedTensor tensor = *seed_safetensors_get (st, i);

    if (g_str_equal (tensor.name, name)) {
      found++;
      if (wrong == DROP)
        continue;
      if (wrong == FLATTEN)
        tensor.shape[0] = tensor.size / seed_dtype_size (tensor.dtype), tensor.n_dims = 1;
      if (wrong == INTEGER)
        tensor.dtype = SEED_DTYPE_I32;
      if (wrong == SPOIL)
        tensor.data = values = spoilt (&tensor);
    }
    tensors[n++] = tensor;
  }
  g_assert_cmpuint (found, ==, wrong == ADD ? 0 : 1);
  if (wrong == ADD)
    tensors[n++] = (SeedTensor){ name, SEED_DTYPE_F32, 1, { 1 }, &one, sizeof one };
  seed_safetensors_write (path, tensors, n, NULL, &error);
  g_assert_no_error (error);
}

static void
change_text (const char *path, const char *from, const char *to)
{
  g_autofree char *text = NULL;
  g_autofree char *changed = NULL;
  const char *place;

  g_assert_true (g_file_get_contents (path, &text, NULL, NULL));
  place = strstr (text, from);
  g_assert_nonnull (place);
  changed = g_strdup_printf ("%.*s%s%s", (int) (place - text), text, to, place + strlen (from));
  g_assert_true (g_file_set_contents (path, changed, -1, NULL));
}

static void
change_file (const char *path, Wrong wrong)
{
  g_autofree char *contents = NULL;
  gsize length;

  if (wrong == LOOP || wrong == REMOVE) {
    g_assert_cmpint (g_unlink (path), ==, 0);
    if (wrong == LOOP)
      g_assert_cmpint (symlink (path, path), ==, 0);
    return;
  }
  g_assert_true (g_file_get_contents (path, &contents, &length, NULL));
  if (wrong == CUT)
    length /= 2;
  else
    for (gsize i = 0; i < length; i++)
      contents[i] = (char) (i * 2654435761u >> 13);
  g_assert_true (g_file_set_contents (path, contents, (gssize) length, NULL));
}

static void
test_refused (gconstpointer data)
{
  const Case *c = data;
  g_autofree char *path = NULL;
  g_autoptr (GError) error = NULL;
  Copy copy;

  copy_init (&copy, c->folder);
  path = in_copy (&copy, c->file);
  if (c->wrong <= SPOIL)
    change_tensor (path, c->wrong, c->a);
  else if (c->wrong == TEXT)
    change_text (path, c->a, c->b);
  else
    change_file (path, c->wrong);

  g_assert_null (seed_model_load (copy.folder, &error));
  g_test_message ("%s", error->message);
  g_assert_error (error, SEED_ERROR, (int) c->code);
  g_assert_true (g_str_has_prefix (error->message, copy.folder));
  if (!strstr (error->message, c->message))
    g_error ("%s: has no: %s", error->message, c->message);
  copy_clear (&copy);
}

/* A hub's cache has links to files elsewhere in place of files. */
static void
test_links (void)
{
  g_autofree char *from = g_dir_make_tmp ("seed-XXXXXX", NULL);
  g_autofree char *elsewhere = g_build_filename (from, "blob", NULL);
  g_autofree char *shard = NULL;
  g_autoptr (SeedModel) model = NULL;
  g_autoptr (GError) error = NULL;
  Copy copy;

  copy_init (&copy, SHARDED);
  shard = in_copy (&copy, SHARD_2);
  g_assert_cmpint (g_rename (shard, elsewhere), ==, 0);
  g_assert_cmpint (symlink (elsewhere, shard), ==, 0);
  model = seed_model_load (copy.folder, &error);
  g_assert_no_error (error);
  copy_clear (&copy);
  g_assert_cmpint (g_unlink (elsewhere), ==, 0);
  g_assert_cmpint (g_rmdir (from), ==, 0);
}

/* What an architecture's name says when nothing else does. */
static const struct {
  const char *name;
  guint dim, heads;
  SeedActivation activation;
  double eps;
} names[] = {
  { "vit_small_patch16_224", 128, 2, SEED_ACTIVATION_GELU, 1e-6 },
  { "vit_huge_patch14_clip_224.laion2b", 48, 16, SEED_ACTIVATION_GELU, 1e-5 },
  { "vit_giant_patch14_dinov2", 48, 24, SEED_ACTIVATION_GELU, 1e-6 },
  { "vit_giant_patch14_224", 48, 16, SEED_ACTIVATION_GELU, 1e-6 },
  { "vit_so400m_patch14_siglip_384", 48, 16, SEED_ACTIVATION_GELU, 1e-6 },
  { "vit_so400m_patch16_siglip_256", 48, 16, SEED_ACTIVATION_GELU_TANH, 1e-6 },
  { "vit_large_patch14_clip_quickgelu_224", 64, 1, SEED_ACTIVATION_QUICK_GELU, 1e-5 },
};

/* The fewest tensors of one block that the family takes. */
static void
write_named (const Copy *copy, const char *name, gsize dim)
{
  static const struct {
    const char *name;
    guint n_dims;
    guint64 rows, columns; /* in dims */
  } tensors[] = { { "norm1.weight", 1, 1 }, { "norm1.bias", 1, 1 }, { "norm2.weight", 1, 1 },
    { "norm2.bias", 1, 1 }, { "attn.qkv.weight", 2, 3, 1 }, { "attn.proj.weight", 2, 1, 1 },
    { "attn.proj.bias", 1, 1 }, { "mlp.fc1.weight", 2, 1, 1 }, { "mlp.fc1.bias", 1, 1 },
    { "mlp.fc2.weight", 2, 1, 1 }, { "mlp.fc2.bias", 1, 1 } };
  g_autofree char *weights = in_copy (copy, MODEL);
  g_autofree char *config = in_copy (copy, "config.json");
  g_autofree float *zeros = g_new0 (float, 3 * dim * dim);
  g_autoptr (GStringChunk) chunk = g_string_chunk_new (256);
  g_autofree char *text = g_strdup_printf ("{\"architecture\": \"%s\", \"global_pool\": \"token\", "
                                           "\"pretrained_cfg\": {\"input_size\": [3, 4, 4]}}",
      name);
  g_autoptr (GError) error = NULL;
  SeedTensor all[16] = {
    { "patch_embed.proj.weight", SEED_DTYPE_F32, 4, { dim, 3, 4, 4 }, zeros, dim * 48 * 4 },
    { "cls_token", SEED_DTYPE_F32, 3, { 1, 1, dim }, zeros, dim * 4 },
    { "pos_embed", SEED_DTYPE_F32, 3, { 1, 2, dim }, zeros, 2 * dim * 4 },
    { "norm.weight", SEED_DTYPE_F32, 1, { dim }, zeros, dim * 4 },
    { "norm.bias", SEED_DTYPE_F32, 1, { dim }, zeros, dim * 4 },
  };

  for (guint i = 0; i < G_N_ELEMENTS (tensors); i++) {
    g_autofree char *full = g_strconcat ("blocks.0.", tensors[i].name, NULL);
    gsize columns = tensors[i].n_dims == 2 ? tensors[i].columns * dim : 1;

    all[5 + i] =
        (SeedTensor){ g_string_chunk_insert (chunk, full), SEED_DTYPE_F32, tensors[i].n_dims,
          { tensors[i].rows * dim, columns }, zeros, tensors[i].rows * dim * columns * 4 };
  }
  seed_safetensors_write (weights, all, 16, NULL, &error);
  g_assert_no_error (error);
  g_assert_true (g_file_set_contents (config, text, -1, NULL));
}

static void
test_timm_names (void)
{
  for (guint i = 0; i < G_N_ELEMENTS (names); i++) {
    Copy copy = { g_dir_make_tmp ("seed-XXXXXX", NULL) };
    g_autoptr (GError) error = NULL;
    SeedCheckpoint checkpoint;

    write_named (&copy, names[i].name, names[i].dim);
    seed_checkpoint_load (&checkpoint, copy.folder, NULL, 0, &error);
    g_assert_no_error (error);
    g_assert_cmpuint (checkpoint.config.heads, ==, names[i].heads);
    g_assert_cmpint (checkpoint.config.activation, ==, names[i].activation);
    g_assert_cmpfloat (checkpoint.config.ln_eps, ==, names[i].eps);
    g_assert_cmpfloat (checkpoint.config.mean[0], ==, 0.485f);
    seed_checkpoint_clear (&checkpoint);
    copy_clear (&copy);
  }
}

int
main (int argc, char **argv)
{
  g_test_init (&argc, &argv, NULL);
  for (guint i = 0; i < G_N_ELEMENTS (cases); i++) {
    g_autofree char *path = g_strdup_printf ("/hostile/%s/%02u", cases[i].folder, i);

    g_test_add_data_func (path, &cases[i], test_refused);
  }
  g_test_add_func ("/hostile/links-are-fine", test_links);
  g_test_add_func ("/hostile/timm-names", test_timm_names);
  return g_test_run ();
}
