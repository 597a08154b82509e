/* SPDX-License-Identifier: MIT */
#pragma once

#include "nn/vit.h"

/* Member by member: the struct has padding. */
static inline void
assert_same_config (const SeedVitConfig *a, const SeedVitConfig *b)
{
  g_assert_cmpuint (a->image_size, ==, b->image_size);
  g_assert_cmpuint (a->patch_size, ==, b->patch_size);
  g_assert_cmpuint (a->dim, ==, b->dim);
  g_assert_cmpuint (a->depth, ==, b->depth);
  g_assert_cmpuint (a->heads, ==, b->heads);
  g_assert_cmpuint (a->mlp_dim, ==, b->mlp_dim);
  g_assert_cmpfloat (a->ln_eps, ==, b->ln_eps);
  g_assert_cmpint (a->activation, ==, b->activation);
  for (guint c = 0; c < 3; c++) {
    g_assert_cmpfloat (a->mean[c], ==, b->mean[c]);
    g_assert_cmpfloat (a->std[c], ==, b->std[c]);
  }
}
