/* SPDX-License-Identifier: MIT */
#pragma once

#include <glib.h>

/*
 * Tokens that are found in a text as they stand, before it is cut into words: "[SEP]",
 * "<|endoftext|>". A `normalized` one is looked for in the normalised text, the others in the text
 * as it came. Immutable once built.
 */
#define SEED_ADDED_TOKENS_MAX 1024u

typedef struct {
  char *content; /* UTF-8, not empty */
  gsize length;
  guint32 id;
  gboolean lstrip, rstrip; /* takes the white space on that side with it */
  gboolean normalized;
} SeedAddedToken;

typedef struct {
  GArray *items;           /* SeedAddedToken */
  gboolean starts[2][256]; /* by normalized: whether one begins with that byte */
} SeedAddedTokens;

void seed_added_tokens_init (SeedAddedTokens *tokens);
void seed_added_tokens_clear (SeedAddedTokens *tokens);

/* A token that is there is replaced. FALSE when there are too many, or @content is empty. */
gboolean seed_added_tokens_add (SeedAddedTokens *tokens, const SeedAddedToken *token);

/* NULL when there is none of that content. */
const SeedAddedToken *seed_added_tokens_lookup (const SeedAddedTokens *tokens, const char *content);

/* The longest that @text begins with, or NULL. */
const SeedAddedToken *seed_added_tokens_match (
    const SeedAddedTokens *tokens, gboolean normalized, const char *text, gsize length);

/*
 * The leftmost match at or after @from, of them the longest. Its bounds in @begin and @end, with
 * the white space that it takes. NULL when there is none.
 */
const SeedAddedToken *seed_added_tokens_find (const SeedAddedTokens *tokens, gboolean normalized,
    const char *text, gsize length, gsize from, gsize *begin, gsize *end);
