/* SPDX-License-Identifier: MIT */
#pragma once

#include <glib.h>

/*
 * A table token -> id, read from files that strangers wrote. Tokens are UTF-8. Immutable once
 * built.
 */
#define SEED_VOCAB_MAX_TOKENS (1u << 20)
#define SEED_VOCAB_MAX_TOKEN_BYTES 1024u
#define SEED_VOCAB_MAX_FILE (64u << 20)
#define SEED_VOCAB_NONE G_MAXUINT32

typedef struct _SeedVocab SeedVocab;

SeedVocab *seed_vocab_new (void);
void seed_vocab_free (SeedVocab *vocab);
G_DEFINE_AUTOPTR_CLEANUP_FUNC (SeedVocab, seed_vocab_free)

/*
 * A token that is there gets the new id. FALSE, with the reason in @problem (static), when a limit
 * is reached.
 */
gboolean seed_vocab_add (
    SeedVocab *vocab, const char *token, gsize length, guint32 id, const char **problem);

/* SEED_VOCAB_NONE when there is no such token. */
guint32 seed_vocab_lookup (const SeedVocab *vocab, const char *token, gsize length);

guint seed_vocab_n_tokens (const SeedVocab *vocab);
/* The largest id plus one, 0 when empty. */
guint32 seed_vocab_end (const SeedVocab *vocab);
gsize seed_vocab_bytes (const SeedVocab *vocab);

/* One token a line, its id the number of the line from 0. */
SeedVocab *
seed_vocab_parse_lines (const char *label, const char *text, gsize length, GError **error);
