/* SPDX-License-Identifier: MIT */
#include <string.h>

#include "nn/hf-table.h"

guint
seed_hf_native_side (const SeedHfConfig *config)
{
  return config->native_size / config->vit.patch_size;
}

char *
seed_hf_table_name (const char *prefix, const char *pattern, guint block)
{
  const char *place = strstr (pattern, "%u");

  if (*pattern == '/') {
    prefix = "";
    pattern++;
  }
  if (!place)
    return g_strconcat (prefix, pattern, NULL);
  return g_strdup_printf (
      "%s%.*s%u%s", prefix, (int) (place - pattern), pattern, block, place + strlen ("%u"));
}

static guint64
dim (char letter, const SeedHfConfig *config)
{
  const SeedVitConfig *vit = &config->vit;
  guint64 side = seed_hf_native_side (config);

  switch (letter) {
  case 'd':
    return vit->dim;
  case 'k':
    return 2 * (guint64) vit->dim;
  case 'q':
    return 3 * (guint64) vit->dim;
  case 'm':
    return vit->mlp_dim;
  case 'g':
    return (vit->gated ? 2 : 1) * (guint64) vit->mlp_dim;
  case 'n':
    return config->n_position_prefix + side * side;
  case 'r':
    return vit->n_registers;
  case 'j':
    return vit->projection_dim;
  case 'p':
    return vit->patch_size;
  default:
    return (guint64) g_ascii_digit_value (letter);
  }
}

void
seed_hf_table_shape (const SeedHfTensor *row, const SeedHfConfig *config, SeedHfShape *shape)
{
  shape->n = 0;
  for (const char *letter = row->shape; *letter; letter++)
    shape->dims[shape->n++] = dim (*letter, config);
}

gsize
seed_hf_shape_size (const SeedHfShape *shape)
{
  gsize size = 1;

  for (guint i = 0; i < shape->n; i++)
    size *= shape->dims[i];
  return size;
}

guint
seed_hf_table_n_tensors (const SeedHfTensor *row)
{
  guint n = 0;

  while (n < G_N_ELEMENTS (row->tensors) && row->tensors[n])
    n++;
  return n;
}

guint
seed_hf_table_n_blocks (const SeedHfTensor *row, const SeedHfConfig *config)
{
  if ((row->needs & seed_hf_config_features (config)) != row->needs)
    return 0;
  return strstr (row->parameter, "%u") ? config->vit.depth : 1;
}
