/* SPDX-License-Identifier: MIT */
#include <math.h>
#include <string.h>

#include <seed/error.h>

#include "nn/hf-family.h"
#include "nn/json.h"

/*
 * Vision transformers as PyTorch image models (timm) names them. Its config.json has the name of an
 * architecture in place of sizes, so these come from the shapes of the tensors, and what shapes do
 * not tell (heads, activation, epsilon) from the words of the name. A name with a word that is not
 * listed here may compute something else with the same tensors and is refused.
 */
#define KEY SEED_HF_KEY
#define MAX_BLOCKS 1024u

static const SeedHfKey keys[] = {
  KEY ("architecture", SEED_HF_NAME, timm.architecture, TRUE),
  KEY ("global_pool", SEED_HF_NAME, timm.pool, FALSE),
  KEY ("pretrained_cfg.input_size", SEED_HF_IMAGE, vit.image_size, TRUE),
  KEY ("pretrained_cfg.mean", SEED_HF_THREE, vit.mean, FALSE),
  KEY ("pretrained_cfg.std", SEED_HF_POSITIVE, vit.std, FALSE),
  KEY ("pretrained_cfg.interpolation", SEED_HF_NAME, timm.interpolation, FALSE),
  KEY ("pretrained_cfg.crop_pct", SEED_HF_NUMBER, timm.crop_share, FALSE),
  KEY ("pretrained_cfg.crop_mode", SEED_HF_NAME, timm.crop_mode, FALSE),
  KEY ("model_args.global_pool", SEED_HF_NAME, timm.pool_argument, FALSE),
  KEY ("model_args.num_heads", SEED_HF_UINT, vit.heads, FALSE),
  KEY ("model_args.act_layer", SEED_HF_ACTIVATION, vit.activation, FALSE),
  /* seen in the tensors */
  KEY ("model_args.img_size", SEED_HF_NOTHING, vit, FALSE),
  KEY ("model_args.patch_size", SEED_HF_NOTHING, vit, FALSE),
  KEY ("model_args.embed_dim", SEED_HF_NOTHING, vit, FALSE),
  KEY ("model_args.depth", SEED_HF_NOTHING, vit, FALSE),
  KEY ("model_args.mlp_ratio", SEED_HF_NOTHING, vit, FALSE),
  KEY ("model_args.qkv_bias", SEED_HF_NOTHING, vit, FALSE),
  KEY ("model_args.init_values", SEED_HF_NOTHING, vit, FALSE),
  KEY ("model_args.class_token", SEED_HF_NOTHING, vit, FALSE),
  KEY ("model_args.no_embed_class", SEED_HF_NOTHING, vit, FALSE),
  KEY ("model_args.reg_tokens", SEED_HF_NOTHING, vit, FALSE),
  KEY ("model_args.pre_norm", SEED_HF_NOTHING, vit, FALSE),
  KEY ("model_args.fc_norm", SEED_HF_NOTHING, vit, FALSE),
  KEY ("model_args.num_classes", SEED_HF_NOTHING, vit, FALSE),
  KEY ("model_args.dynamic_img_size", SEED_HF_NOTHING, vit, FALSE),
};

#define BLOCK "blocks.%u."
#define POOL "attn_pool."

static const SeedHfTensor tensors[] = {
  { "patch.weight", { "patch_embed.proj.weight" }, "d3pp" },
  { "patch.bias", { "patch_embed.proj.bias" }, "d", SEED_HF_HAS_PATCH_BIAS },
  { "cls", { "cls_token" }, "11d", SEED_HF_HAS_CLS },
  { "registers", { "reg_token" }, "1rd", SEED_HF_HAS_REGISTERS },
  { "pos", { "pos_embed" }, "1nd", 0, SEED_HF_POSITIONS },
  { "pre_norm.weight", { "norm_pre.weight" }, "d", SEED_HF_HAS_PRE_NORM },
  { "pre_norm.bias", { "norm_pre.bias" }, "d", SEED_HF_HAS_PRE_NORM },
  { "blocks.%u.norm1.weight", { BLOCK "norm1.weight" }, "d" },
  { "blocks.%u.norm1.bias", { BLOCK "norm1.bias" }, "d" },
  { "blocks.%u.qkv.weight", { BLOCK "attn.qkv.weight" }, "qd" },
  { "blocks.%u.qkv.bias", { BLOCK "attn.qkv.bias" }, "q", SEED_HF_HAS_QKV_BIAS },
  { "blocks.%u.proj.weight", { BLOCK "attn.proj.weight" }, "dd" },
  { "blocks.%u.proj.bias", { BLOCK "attn.proj.bias" }, "d" },
  { "blocks.%u.proj", { BLOCK "ls1.gamma" }, "d", SEED_HF_HAS_LAYER_SCALE, SEED_HF_SCALE },
  { "blocks.%u.norm2.weight", { BLOCK "norm2.weight" }, "d" },
  { "blocks.%u.norm2.bias", { BLOCK "norm2.bias" }, "d" },
  { "blocks.%u.fc1.weight", { BLOCK "mlp.fc1.weight" }, "gd" },
  { "blocks.%u.fc1.bias", { BLOCK "mlp.fc1.bias" }, "g" },
  { "blocks.%u.fc2.weight", { BLOCK "mlp.fc2.weight" }, "dm" },
  { "blocks.%u.fc2.bias", { BLOCK "mlp.fc2.bias" }, "d" },
  { "blocks.%u.fc2", { BLOCK "ls2.gamma" }, "d", SEED_HF_HAS_LAYER_SCALE, SEED_HF_SCALE },
  { "norm.weight", { "norm.weight" }, "d", SEED_HF_HAS_ROWS_NORM },
  { "norm.bias", { "norm.bias" }, "d", SEED_HF_HAS_ROWS_NORM },
  { "norm.weight", { "fc_norm.weight" }, "d", SEED_HF_HAS_SUMMARY_NORM },
  { "norm.bias", { "fc_norm.bias" }, "d", SEED_HF_HAS_SUMMARY_NORM },
  { "pool.probe", { POOL "latent" }, "11d", SEED_HF_HAS_ATTENTION_POOL },
  { "pool.qkv.weight", { POOL "q.weight" }, "dd", SEED_HF_HAS_ATTENTION_POOL },
  { "pool.qkv.weight", { POOL "kv.weight" }, "kd", SEED_HF_HAS_ATTENTION_POOL },
  { "pool.qkv.bias", { POOL "q.bias" }, "d", SEED_HF_HAS_ATTENTION_POOL },
  { "pool.qkv.bias", { POOL "kv.bias" }, "k", SEED_HF_HAS_ATTENTION_POOL },
  { "pool.proj.weight", { POOL "proj.weight" }, "dd", SEED_HF_HAS_ATTENTION_POOL },
  { "pool.proj.bias", { POOL "proj.bias" }, "d", SEED_HF_HAS_ATTENTION_POOL },
  { "pool.norm.weight", { POOL "norm.weight" }, "d", SEED_HF_HAS_ATTENTION_POOL },
  { "pool.norm.bias", { POOL "norm.bias" }, "d", SEED_HF_HAS_ATTENTION_POOL },
  { "pool.fc1.weight", { POOL "mlp.fc1.weight" }, "md", SEED_HF_HAS_ATTENTION_POOL },
  { "pool.fc1.bias", { POOL "mlp.fc1.bias" }, "m", SEED_HF_HAS_ATTENTION_POOL },
  { "pool.fc2.weight", { POOL "mlp.fc2.weight" }, "dm", SEED_HF_HAS_ATTENTION_POOL },
  { "pool.fc2.bias", { POOL "mlp.fc2.bias" }, "d", SEED_HF_HAS_ATTENTION_POOL },
};

/* The first word is one of these; the others a number, patchN, or of the second list. */
static const char *const kinds[] = { "vit", "deit", "deit3" };
static const char *const words[] = { "tiny", "little", "small", "medium", "mediumd", "betwixt",
  "base", "large", "huge", "giant", "giantopt", "gigantic", "so150m", "so400m", "clip", "quickgelu",
  "dinov2", "reg1", "reg4", "reg8", "siglip", "gap", "map", "plus", "miil", "36x1" };

/* Heads are 64 wide but for these; the first row whose words are all in the name. */
static const struct {
  const char *words[2];
  guint heads;
} wide_heads[] = {
  { { "giant", "dinov2" }, 24 },
  { { "so400m" }, 16 },
  { { "huge" }, 16 },
  { { "giant" }, 16 },
  { { "giantopt" }, 16 },
  { { "gigantic" }, 16 },
};

static const struct {
  const char *words[3];
  SeedActivation activation;
} activations[] = {
  { { "quickgelu" }, SEED_ACTIVATION_QUICK_GELU },
  { { "siglip", "giantopt" }, SEED_ACTIVATION_GELU_TANH },
  { { "siglip", "so400m", "patch16" }, SEED_ACTIVATION_GELU_TANH },
  { { "siglip", "base", "patch32" }, SEED_ACTIVATION_GELU_TANH },
  { { "siglip", "large", "512" }, SEED_ACTIVATION_GELU_TANH },
};

#define CLIP_EPS 1e-5

static gboolean
has_words (char **name, const char *const *wanted, guint n)
{
  for (guint i = 0; i < n && wanted[i]; i++)
    if (!g_strv_contains ((const char *const *) name, wanted[i]))
      return FALSE;
  return TRUE;
}

static gboolean
is_number (const char *word)
{
  return *word && strspn (word, "0123456789") == strlen (word);
}

static gboolean
is_known (const char *word, guint index)
{
  if (index == 0) {
    for (guint i = 0; i < G_N_ELEMENTS (kinds); i++)
      if (g_str_equal (word, kinds[i]))
        return TRUE;
    return FALSE;
  }
  if (is_number (word) || (g_str_has_prefix (word, "patch") && is_number (word + strlen ("patch"))))
    return TRUE;
  for (guint i = 0; i < G_N_ELEMENTS (words); i++)
    if (g_str_equal (word, words[i]))
      return TRUE;
  return FALSE;
}

/* Words of the architecture, without what training the part behind a dot names. */
static char **
split_name (const SeedHfConfig *config)
{
  g_autofree char *name = g_strdup (config->timm.architecture);

  name[strcspn (name, ".")] = '\0';
  return g_strsplit (name, "_", -1);
}

static gboolean
fail_key (
    const char *label, const char *key, const char *value, const char *supported, GError **error)
{
  g_autofree char *shown = seed_json_show (value);

  g_set_error (error, SEED_ERROR, SEED_ERROR_UNSUPPORTED,
      "%s: key \"%s\": %s is not supported; supported: %s", label, key, shown, supported);
  return FALSE;
}

static gboolean
derive_from_name (SeedHfConfig *config, const char *label, GError **error)
{
  g_auto (GStrv) name = split_name (config);
  static const char *const clip[] = { "clip" };

  for (guint i = 0; name[i]; i++)
    if (!is_known (name[i], i)) {
      g_autofree char *supported = g_strdup_printf (
          "plain vit_*, deit_* and deit3_* (the word \"%s\" is not known)", name[i]);

      return fail_key (label, "architecture", config->timm.architecture, supported, error);
    }
  for (guint i = 0; i < G_N_ELEMENTS (activations); i++)
    if (config->vit.activation == SEED_ACTIVATION_GELU &&
        has_words (name, activations[i].words, G_N_ELEMENTS (activations[i].words)))
      config->vit.activation = activations[i].activation;
  if (has_words (name, clip, 1))
    config->vit.ln_eps = CLIP_EPS;
  return TRUE;
}

static gboolean
derive_images (SeedHfConfig *config, const char *label, GError **error)
{
  SeedHfImages *images = &config->images;
  const char *mode = config->timm.crop_mode, *filter = config->timm.interpolation;

  if (!(config->timm.crop_share > 0.01 && config->timm.crop_share <= 1)) {
    g_set_error (error, SEED_ERROR, SEED_ERROR_INVALID,
        "%s: key \"pretrained_cfg.crop_pct\": is %g; it must be above 0.01 and at most 1", label,
        config->timm.crop_share);
    return FALSE;
  }
  if (!g_str_equal (mode, "center") && !g_str_equal (mode, "squash"))
    return fail_key (label, "pretrained_cfg.crop_mode", mode, "center, squash", error);
  if (!g_str_equal (filter, "bilinear") && !g_str_equal (filter, "bicubic"))
    return fail_key (label, "pretrained_cfg.interpolation", filter, "bilinear, bicubic", error);
  images->fit = g_str_equal (mode, "center") ? "crop" : "squash";
  images->interpolation = g_str_equal (filter, "bicubic") ? "bicubic" : "bilinear";
  images->crop_size = config->vit.image_size;
  images->resize_size = (guint) MIN (config->vit.image_size / config->timm.crop_share, G_MAXINT32);
  return TRUE;
}

static gboolean
derive_pool (SeedHfConfig *config, const char *label, GError **error)
{
  static const struct {
    const char *name;
    SeedVitPool pool;
  } pools[] = { { "token", SEED_VIT_POOL_CLS }, { "avg", SEED_VIT_POOL_MEAN },
    { "map", SEED_VIT_POOL_ATTENTION } };
  const char *argument = config->timm.pool_argument;
  const char *name = *argument ? argument : config->timm.pool;

  for (guint i = 0; i < G_N_ELEMENTS (pools); i++)
    if (g_str_equal (name, pools[i].name)) {
      config->vit.pool = pools[i].pool;
      return TRUE;
    }
  return fail_key (label, "global_pool", name, "token, avg, map", error);
}

static gboolean
derive (SeedHfConfig *config, const char *label, GError **error)
{
  return derive_from_name (config, label, error) && derive_images (config, label, error) &&
         derive_pool (config, label, error);
}

/* From the tensors */

static gboolean
has (const SeedHfWeights *weights, const char *name)
{
  return seed_hf_weights_lookup (weights, name, NULL) != NULL;
}

/* Dimension @dim of a tensor that has @n_dims; what is beyond any limit stays beyond it. */
static gboolean
read_dim (const SeedHfWeights *weights, const char *name, guint n_dims, guint dim, guint *value,
    GError **error)
{
  const char *path;
  const SeedTensor *tensor = seed_hf_weights_lookup (weights, name, &path);

  if (!tensor) {
    g_set_error (error, SEED_ERROR, SEED_ERROR_NOT_FOUND,
        "%s: tensor \"%s\": is missing; a timm vision transformer has it", path, name);
    return FALSE;
  }
  if (tensor->n_dims != n_dims) {
    g_set_error (error, SEED_ERROR, SEED_ERROR_MISMATCH,
        "%s: tensor \"%s\": has %u dimensions, expected %u", path, name, tensor->n_dims, n_dims);
    return FALSE;
  }
  *value = (guint) MIN (tensor->shape[dim], G_MAXINT32);
  return TRUE;
}

static guint
count_blocks (const SeedHfWeights *weights)
{
  guint n = 0;

  for (; n < MAX_BLOCKS; n++) {
    g_autofree char *name = g_strdup_printf ("blocks.%u.norm1.weight", n);

    if (!has (weights, name))
      break;
  }
  return n;
}

static gboolean
infer_sizes (SeedHfConfig *config, const SeedHfWeights *weights, GError **error)
{
  SeedVitConfig *vit = &config->vit;
  guint fc1 = 0;

  if (!read_dim (weights, "patch_embed.proj.weight", 4, 0, &vit->dim, error) ||
      !read_dim (weights, "patch_embed.proj.weight", 4, 2, &vit->patch_size, error) ||
      !read_dim (weights, "blocks.0.mlp.fc1.weight", 2, 0, &fc1, error) ||
      !read_dim (weights, "blocks.0.mlp.fc2.weight", 2, 1, &vit->mlp_dim, error))
    return FALSE;
  vit->depth = count_blocks (weights);
  vit->gated = fc1 > 0 && fc1 / 2 == vit->mlp_dim && fc1 % 2 == 0;
  if (vit->gated)
    vit->activation = SEED_ACTIVATION_SILU; /* SwiGLU is the one gated MLP of the known names */
  vit->no_cls = !has (weights, "cls_token");
  return !has (weights, "reg_token") ||
         read_dim (weights, "reg_token", 3, 1, &vit->n_registers, error);
}

static void
infer_heads (SeedHfConfig *config)
{
  g_auto (GStrv) name = split_name (config);

  if (config->vit.heads > 0)
    return;
  config->vit.heads = MAX (1, config->vit.dim / 64);
  for (guint i = 0; i < G_N_ELEMENTS (wide_heads); i++)
    if (has_words (name, wide_heads[i].words, G_N_ELEMENTS (wide_heads[i].words))) {
      config->vit.heads = wide_heads[i].heads;
      return;
    }
}

/* Rows of positions: the words', and all rows' before them or none's. */
static gboolean
infer_positions (SeedHfConfig *config, const SeedHfWeights *weights, GError **error)
{
  guint prefix = seed_vit_config_n_prefix (&config->vit), rows, side;

  if (!read_dim (weights, "pos_embed", 3, 1, &rows, error))
    return FALSE;
  side = config->vit.patch_size ? config->images.crop_size / config->vit.patch_size : 0;
  config->native_size = config->images.crop_size;
  config->n_position_prefix = rows == side * side ? 0 : prefix;
  return TRUE;
}

static gboolean
infer (SeedHfConfig *config, const SeedHfWeights *weights, GError **error)
{
  if (!infer_sizes (config, weights, error) || !infer_positions (config, weights, error))
    return FALSE;
  infer_heads (config);
  config->patch_bias = has (weights, "patch_embed.proj.bias");
  config->qkv_bias = has (weights, "blocks.0.attn.qkv.bias");
  config->layer_scale = has (weights, "blocks.0.ls1.gamma");
  config->vit.pre_norm = has (weights, "norm_pre.weight");
  if (has (weights, "fc_norm.weight"))
    config->vit.norm_place = SEED_VIT_NORM_SUMMARY;
  return TRUE;
}

static const char *const prefixes[] = { "", NULL };
static const char *const ignored[] = { "head.", NULL };

const SeedHfFamily seed_hf_timm = {
  .model_type = "timm",
  .defaults = {
    .vit = {
      .ln_eps = 1e-6,
      .activation = SEED_ACTIVATION_GELU,
      .mean = { 0.485f, 0.456f, 0.406f },
      .std = { 0.229f, 0.224f, 0.225f },
    },
    .channels = 3,
    .timm = {
      .pool = "token",
      .interpolation = "bicubic",
      .crop_mode = "center",
      .crop_share = 0.875,
    },
  },
  .keys = keys,
  .n_keys = G_N_ELEMENTS (keys),
  .strict_object = "model_args",
  .prefixes = prefixes,
  .tensors = tensors,
  .n_tensors = G_N_ELEMENTS (tensors),
  .ignored = ignored,
  .antialias = TRUE,
  .derive = derive,
  .infer = infer,
  .sizes_inferred = TRUE,
};
