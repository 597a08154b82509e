/* SPDX-License-Identifier: MIT */
#pragma once

#include "text/vocab.h"

/*
 * Byte-pair encoding of words (Sennrich et al. 2016, arXiv 1508.07909) over bytes written as
 * printable characters (Radford et al. 2019, "Language Models are Unsupervised Multitask
 * Learners"). The last byte of a word is a symbol of its own, marked "</w>". Immutable once built.
 */
typedef struct _SeedBpe SeedBpe;

/* Takes @vocab. @unknown: the id of a byte that the vocabulary lacks. */
SeedBpe *seed_bpe_new (SeedVocab *vocab, guint32 unknown);
void seed_bpe_free (SeedBpe *bpe);
G_DEFINE_AUTOPTR_CLEANUP_FUNC (SeedBpe, seed_bpe_free)

/*
 * The next merge, of lower rank than all before it. A pair that is there gets the new rank. FALSE,
 * with the reason in @problem (static), when a part or the result is not in the vocabulary.
 */
gboolean seed_bpe_add_merge (SeedBpe *bpe, const char *left, gsize left_length, const char *right,
    gsize right_length, const char **problem);

/* merges.txt: a header, then "LEFT RIGHT" a line, best first. */
gboolean seed_bpe_parse_merges (
    SeedBpe *bpe, const char *label, const char *text, gsize length, GError **error);

/*
 * Appends the ids (guint32) of one word of @length bytes. Time grows as length log length. @scratch
 * is memory to use again, from seed_bpe_scratch_new.
 */
typedef struct _SeedBpeScratch SeedBpeScratch;
SeedBpeScratch *seed_bpe_scratch_new (void);
void seed_bpe_scratch_free (SeedBpeScratch *scratch);
G_DEFINE_AUTOPTR_CLEANUP_FUNC (SeedBpeScratch, seed_bpe_scratch_free)
void seed_bpe_encode_word (
    const SeedBpe *bpe, SeedBpeScratch *scratch, const char *word, gsize length, GArray *ids);

const SeedVocab *seed_bpe_vocab (const SeedBpe *bpe);
gsize seed_bpe_bytes (const SeedBpe *bpe);
