/* SPDX-License-Identifier: MIT */
#pragma once

#include "nn/checkpoint.h"
#include "nn/hf-family.h"

/* The tensors of one file on their way there; their values stay where they are. */
typedef struct {
  char *path;
  const SeedParams *params;
  const float *values;
  GArray *tensors; /* SeedTensor */
  GStringChunk *names;
} SeedSaver;

void seed_saver_init (SeedSaver *saver, const char *folder, const char *file,
    const SeedParams *params, const float *values);
void seed_saver_clear (SeedSaver *saver);
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC (SeedSaver, seed_saver_clear)

gboolean seed_saver_make_folder (const char *folder, GError **error);
/* SEED_ERROR_UNSUPPORTED for more than a plain transformer. */
gboolean
seed_saver_check_writable (const SeedSaver *saver, const SeedVitConfig *config, GError **error);
/* The transformer's tensors by the family's names. SEED_ERROR_NUMERIC when a value is not finite.
 */
gboolean seed_saver_add_model (SeedSaver *saver, const SeedHfConfig *config, GError **error);
gboolean seed_saver_add_extras (
    SeedSaver *saver, const SeedExtraTensor *extras, guint n_extras, GError **error);
