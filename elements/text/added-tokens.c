/* SPDX-License-Identifier: MIT */
#include <string.h>

#include "text/added-tokens.h"
#include "text/unicode.h"

static void
clear_item (gpointer data)
{
  g_free (((SeedAddedToken *) data)->content);
}

void
seed_added_tokens_init (SeedAddedTokens *tokens)
{
  *tokens = (SeedAddedTokens){ .items = g_array_new (FALSE, FALSE, sizeof (SeedAddedToken)) };
  g_array_set_clear_func (tokens->items, clear_item);
}

void
seed_added_tokens_clear (SeedAddedTokens *tokens)
{
  g_clear_pointer (&tokens->items, g_array_unref);
}

const SeedAddedToken *
seed_added_tokens_lookup (const SeedAddedTokens *tokens, const char *content)
{
  for (guint i = 0; i < tokens->items->len; i++) {
    const SeedAddedToken *token = &g_array_index (tokens->items, SeedAddedToken, i);

    if (strcmp (token->content, content) == 0)
      return token;
  }
  return NULL;
}

gboolean
seed_added_tokens_add (SeedAddedTokens *tokens, const SeedAddedToken *token)
{
  SeedAddedToken *known = (SeedAddedToken *) seed_added_tokens_lookup (tokens, token->content);
  SeedAddedToken copy = *token;

  if (*token->content == '\0' || (!known && tokens->items->len >= SEED_ADDED_TOKENS_MAX))
    return FALSE;
  copy.length = strlen (token->content);
  tokens->starts[!!token->normalized][(guchar) *token->content] = TRUE;
  if (known) {
    copy.content = known->content;
    *known = copy;
  } else {
    copy.content = g_strdup (token->content);
    g_array_append_val (tokens->items, copy);
  }
  return TRUE;
}

const SeedAddedToken *
seed_added_tokens_match (
    const SeedAddedTokens *tokens, gboolean normalized, const char *text, gsize length)
{
  const SeedAddedToken *best = NULL;

  if (length == 0 || !tokens->starts[!!normalized][(guchar) *text])
    return NULL;
  for (guint i = 0; i < tokens->items->len; i++) {
    const SeedAddedToken *token = &g_array_index (tokens->items, SeedAddedToken, i);

    if (!token->normalized == !normalized && token->length <= length &&
        (!best || token->length > best->length) &&
        memcmp (text, token->content, token->length) == 0)
      best = token;
  }
  return best;
}

const SeedAddedToken *
seed_added_tokens_find (const SeedAddedTokens *tokens, gboolean normalized, const char *text,
    gsize length, gsize from, gsize *begin, gsize *end)
{
  const SeedAddedToken *token = NULL;
  gsize start = from, stop;

  while (start < length &&
         !(token = seed_added_tokens_match (tokens, normalized, text + start, length - start)))
    start++;
  if (!token)
    return NULL;
  stop = start + token->length;
  while (token->lstrip && start > from) {
    const char *previous = g_utf8_prev_char (text + start);

    if (previous < text + from || !seed_unicode_is_space (g_utf8_get_char (previous)))
      break;
    start = (gsize) (previous - text);
  }
  while (token->rstrip && stop < length && seed_unicode_is_space (g_utf8_get_char (text + stop)))
    stop = (gsize) (g_utf8_next_char (text + stop) - text);
  *begin = start;
  *end = stop;
  return token;
}
