/* SPDX-License-Identifier: MIT */
#pragma once

#include "text/text-config.h"

/*
 * What the sentence-transformers layout puts around a BERT: modules.json lists what happens to its
 * tokens (pooling, normalisation), each in a folder of its own; sentence_bert_config.json says how
 * long a text may be. All of it may be missing.
 */
gboolean seed_text_sentence_read (SeedTextConfig *config, const char *folder, GError **error);

/* The three files from memory; @label stands for the file. */
gboolean seed_text_sentence_parse (
    SeedTextConfig *config, const char *label, const char *text, gsize length, GError **error);
gboolean seed_text_pooling_parse (
    SeedTextConfig *config, const char *label, const char *text, gsize length, GError **error);
/* @pooling: the folder of the pooling module, to be freed; NULL when there is none. */
gboolean seed_text_modules_parse (SeedTextConfig *config, char **pooling, const char *label,
    const char *text, gsize length, GError **error);
