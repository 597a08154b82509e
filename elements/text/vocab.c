/* SPDX-License-Identifier: MIT */
#include <string.h>

#include <seed/error.h>

#include "text/vocab.h"

#define MIN_SLOTS 64u

typedef struct {
  guint32 offset; /* in text */
  guint32 length;
  guint32 hash, id;
} Entry;

struct _SeedVocab {
  GByteArray *text;
  GArray *entries;
  guint32 *slots; /* index of an entry + 1, 0 when free; never more than half full */
  guint n_slots;  /* a power of two */
  guint32 end;
};

SeedVocab *
seed_vocab_new (void)
{
  SeedVocab *vocab = g_new0 (SeedVocab, 1);

  vocab->text = g_byte_array_sized_new (MIN_SLOTS); /* not NULL even for an empty token */
  vocab->entries = g_array_new (FALSE, FALSE, sizeof (Entry));
  vocab->n_slots = MIN_SLOTS;
  vocab->slots = g_new0 (guint32, vocab->n_slots);
  return vocab;
}

void
seed_vocab_free (SeedVocab *vocab)
{
  if (!vocab)
    return;
  g_byte_array_unref (vocab->text);
  g_array_unref (vocab->entries);
  g_free (vocab->slots);
  g_free (vocab);
}

/* FNV-1a, http://www.isthe.com/chongo/tech/comp/fnv/ */
static guint32
hash_bytes (const char *token, gsize length)
{
  guint32 hash = 2166136261u;

  for (gsize i = 0; i < length; i++)
    hash = (hash ^ (guchar) token[i]) * 16777619u;
  return hash;
}

static guint32 *
find_slot (const SeedVocab *vocab, const char *token, gsize length, guint32 hash)
{
  guint32 slot = hash & (vocab->n_slots - 1);

  for (;; slot = (slot + 1) & (vocab->n_slots - 1)) {
    const Entry *entry;

    if (vocab->slots[slot] == 0)
      return &vocab->slots[slot];
    entry = &g_array_index (vocab->entries, Entry, vocab->slots[slot] - 1);
    if (entry->hash == hash && entry->length == length &&
        memcmp (vocab->text->data + entry->offset, token, length) == 0)
      return &vocab->slots[slot];
  }
}

static void
grow (SeedVocab *vocab)
{
  g_free (vocab->slots);
  vocab->n_slots *= 2;
  vocab->slots = g_new0 (guint32, vocab->n_slots);
  for (guint i = 0; i < vocab->entries->len; i++) {
    guint32 slot = g_array_index (vocab->entries, Entry, i).hash & (vocab->n_slots - 1);

    while (vocab->slots[slot] != 0)
      slot = (slot + 1) & (vocab->n_slots - 1);
    vocab->slots[slot] = i + 1;
  }
}

gboolean
seed_vocab_add (SeedVocab *vocab, const char *token, gsize length, guint32 id, const char **problem)
{
  guint32 hash = hash_bytes (token, length);
  guint32 *slot = find_slot (vocab, token, length, hash);
  Entry entry = { .offset = vocab->text->len, .length = (guint32) length, .hash = hash, .id = id };

  if (length > SEED_VOCAB_MAX_TOKEN_BYTES) {
    *problem = "the token is longer than " G_STRINGIFY (SEED_VOCAB_MAX_TOKEN_BYTES);
    return FALSE;
  }
  if (id >= SEED_VOCAB_MAX_TOKENS || vocab->entries->len >= SEED_VOCAB_MAX_TOKENS) {
    *problem = "there are more than 1048576 tokens, or an id is above that";
    return FALSE;
  }
  vocab->end = MAX (vocab->end, id + 1);
  if (*slot) {
    g_array_index (vocab->entries, Entry, *slot - 1).id = id;
    return TRUE;
  }
  g_byte_array_append (vocab->text, (const guint8 *) token, (guint) length);
  g_array_append_val (vocab->entries, entry);
  *slot = vocab->entries->len;
  if (vocab->entries->len * 2 > vocab->n_slots)
    grow (vocab);
  return TRUE;
}

guint32
seed_vocab_lookup (const SeedVocab *vocab, const char *token, gsize length)
{
  const guint32 *slot = find_slot (vocab, token, length, hash_bytes (token, length));

  return *slot ? g_array_index (vocab->entries, Entry, *slot - 1).id : SEED_VOCAB_NONE;
}

guint
seed_vocab_n_tokens (const SeedVocab *vocab)
{
  return vocab->entries->len;
}

guint32
seed_vocab_end (const SeedVocab *vocab)
{
  return vocab->end;
}

gsize
seed_vocab_bytes (const SeedVocab *vocab)
{
  return sizeof *vocab + vocab->text->len + vocab->entries->len * sizeof (Entry) +
         vocab->n_slots * sizeof *vocab->slots;
}

SeedVocab *
seed_vocab_parse_lines (const char *label, const char *text, gsize length, GError **error)
{
  g_autoptr (SeedVocab) vocab = seed_vocab_new ();
  guint32 line = 0;

  for (const char *begin = text, *end = text + length; begin < end; line++) {
    const char *newline = memchr (begin, '\n', (gsize) (end - begin));
    gsize n = (gsize) ((newline ? newline : end) - begin);
    const char *next = begin + n + 1, *problem;

    if (n > 0 && begin[n - 1] == '\r')
      n--;
    if (!g_utf8_validate_len (begin, n, NULL)) {
      g_set_error (
          error, SEED_ERROR, SEED_ERROR_FORMAT, "%s:%u: this is not UTF-8 text", label, line + 1);
      return NULL;
    }
    if (!seed_vocab_add (vocab, begin, n, line, &problem)) {
      g_set_error (error, SEED_ERROR, SEED_ERROR_LIMIT, "%s:%u: %s", label, line + 1, problem);
      return NULL;
    }
    if (!newline)
      break;
    begin = next;
  }
  return g_steal_pointer (&vocab);
}
