/* SPDX-License-Identifier: MIT */
#pragma once

#include <seed/error.h>

#include "nn/hf-family.h"

/*
 * config.json and preprocessor_config.json of a folder in Hugging Face layout. Keys that no family
 * asks for are passed over; those it asks for must have the right type and a value in range. Errors
 * are "FILE:LINE:COLUMN: key "KEY": ...".
 */
#define SEED_HF_CONFIG_MAX_BYTES (1u << 20)
#define SEED_HF_MAX_RESIZE 16384u /* pixels */

/* Both files, the second when there is one, checked together. What only the tensors say is open. */
gboolean seed_hf_config_read (SeedHfConfig *config, const char *folder, GError **error);

/*
 * The rest, from the tensors, and images of @image_size (0: as they are). After it the
 * configuration is whole and within every limit. @folder stands in errors.
 */
gboolean seed_hf_config_complete (SeedHfConfig *config, const SeedHfWeights *weights,
    guint image_size, const char *folder, GError **error);

/* The two halves of it, from memory. @label stands for the file. The second wants the first's. */
gboolean seed_hf_config_parse (
    SeedHfConfig *config, const char *label, const char *text, gsize length, GError **error);
gboolean seed_hf_preprocessor_parse (
    SeedHfConfig *config, const char *label, const char *text, gsize length, GError **error);

/* Both files into @folder, which is there; each is replaced atomically. */
gboolean seed_hf_config_write (
    const SeedHfFamily *family, const SeedVitConfig *vit, const char *folder, GError **error);

/* Both files for weights in @dtype and images made as @images says. SEED_ERROR_UNSUPPORTED when no
 * processor makes them so. */
gboolean seed_hf_config_export (const SeedHfFamily *family, const SeedVitConfig *vit,
    const SeedHfImages *images, SeedDtype dtype, const char *folder, GError **error);

/* Text of the second file. Caller frees. */
char *seed_hf_preprocessor_format (const SeedHfFamily *family, const SeedVitConfig *vit);
/* The same as @images says, by the processor that does it. NULL with SEED_ERROR_UNSUPPORTED. */
char *seed_hf_preprocessor_format_images (
    const SeedVitConfig *vit, const SeedHfImages *images, GError **error);
