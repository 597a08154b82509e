/* SPDX-License-Identifier: MIT */
#pragma once

#include <glib.h>

/*
 * SentencePiece with a unigram language model (Kudo 2018, arXiv 1804.10959; Kudo and Richardson
 * 2018, arXiv 1808.06226): the most probable cut of the normalised text into pieces, by Viterbi.
 * Gives the ids that the original library gives. Immutable once loaded.
 */
typedef struct _SeedUnigram SeedUnigram;

/* @label stands for the file in errors. */
SeedUnigram *seed_unigram_parse (GBytes *bytes, const char *label, GError **error);
void seed_unigram_free (SeedUnigram *unigram);
G_DEFINE_AUTOPTR_CLEANUP_FUNC (SeedUnigram, seed_unigram_free)

/* Overrides what the model says about a space before the text. */
void seed_unigram_set_dummy_prefix (SeedUnigram *unigram, gboolean add);

/* Appends ids (guint32). @text is UTF-8; time grows with its length times the longest piece's. */
void seed_unigram_encode (const SeedUnigram *unigram, const char *text, gsize length, GArray *ids);

/* The id of a piece of any type; the one of the unknown piece when there is none. */
guint32 seed_unigram_lookup (const SeedUnigram *unigram, const char *piece, gsize length);
guint32 seed_unigram_unknown (const SeedUnigram *unigram);
guint seed_unigram_n_pieces (const SeedUnigram *unigram);
gsize seed_unigram_bytes (const SeedUnigram *unigram);
