/* SPDX-License-Identifier: MIT */
#pragma once

#include "text/spm-model.h"

/*
 * SentencePiece's normalisation: the longest rule that the rest of the text begins with replaces
 * it, spaces become U+2581 and may be trimmed and joined. The rules are a double-array trie
 * (Yata et al. 2007, as in Darts-clone) from byte strings to offsets into replacements:
 * a length (uint32, little-endian), that many bytes of trie units, replacements with a NUL after
 * each.
 */
typedef struct {
  const SeedSpmModel *model;
  const guint8 *units; /* uint32 each, not aligned */
  guint32 n_units;
  const char *replacements;
  gsize replacements_length;
  gboolean add_dummy_prefix;
} SeedSpmNormalizer;

/*
 * How many bytes of @text a symbol takes that must stay as it is; 0: none.
 */
typedef gsize (*SeedSpmMatchFunc) (gconstpointer data, const char *text, gsize length);

gboolean seed_spm_normalizer_init (
    SeedSpmNormalizer *normalizer, const SeedSpmModel *model, const char *label, GError **error);

/* Appends to @out. @text is UTF-8; @match may be NULL. */
void seed_spm_normalize (const SeedSpmNormalizer *normalizer, SeedSpmMatchFunc match,
    gconstpointer data, const char *text, gsize length, GString *out);
