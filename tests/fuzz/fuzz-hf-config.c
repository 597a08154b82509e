/* SPDX-License-Identifier: MIT */
#include "nn/hf-config.h"

#include "fuzz.h"

/* One text as config.json, then as the preprocessor_config.json of a good one. */
int
LLVMFuzzerTestOneInput (const uint8_t *data, size_t size)
{
  g_autoptr (GError) error = NULL;
  g_autoptr (GError) preprocessor_error = NULL;
  SeedHfConfig config;
  gboolean ok = seed_hf_config_parse (&config, "fuzz", (const char *) data, size, &error);

  g_assert_true (ok == !error);
  g_assert_true (!ok || config.family->sizes_inferred || seed_vit_config_check (&config.vit, NULL));

  config = seed_hf_vit.defaults;
  config.family = &seed_hf_vit;
  config.vit.image_size = config.native_size = 224;
  ok = seed_hf_preprocessor_parse (&config, "fuzz", (const char *) data, size, &preprocessor_error);
  g_assert_true (ok == !preprocessor_error);
  return 0;
}
