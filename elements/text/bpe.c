/* SPDX-License-Identifier: MIT */
#include <string.h>

#include <seed/error.h>

#include "text/bpe.h"

#define WORD_END "</w>"
#define MIN_SLOTS 64u
#define NOTHING (-1)

typedef struct {
  guint64 pair;         /* left << 32 | right */
  guint32 rank, result; /* rank + 1, 0 when the slot is free */
} Merge;

struct _SeedBpe {
  SeedVocab *vocab;
  guint32 byte_ids[2][256]; /* [1] at the end of a word */
  Merge *merges;            /* hashed; never more than half full */
  guint n_slots, n_merges;
  guint32 rank;
};

/* A symbol of the word that is being put together; a list, since merges remove from its middle. */
typedef struct {
  guint32 id; /* SEED_VOCAB_NONE when it was merged into its left neighbour */
  gint32 previous, next;
} Symbol;

typedef struct {
  guint32 rank, left; /* the symbol on the left */
  guint32 result;
} Candidate;

struct _SeedBpeScratch {
  GArray *symbols, *heap;
};

/* Printable bytes of Latin-1 stand for themselves, the others for U+0100 and on, in order. */
static void
byte_characters (gunichar characters[256])
{
  gunichar next = 0x100;

  for (guint b = 0; b < 256; b++) {
    gboolean printable = (b >= 0x21 && b <= 0x7e) || (b >= 0xa1 && b <= 0xac) || b >= 0xae;

    characters[b] = printable ? b : next++;
  }
}

SeedBpe *
seed_bpe_new (SeedVocab *vocab, guint32 unknown)
{
  SeedBpe *bpe = g_new0 (SeedBpe, 1);
  gunichar characters[256];

  bpe->vocab = vocab;
  bpe->n_slots = MIN_SLOTS;
  bpe->merges = g_new0 (Merge, bpe->n_slots);
  byte_characters (characters);
  for (guint b = 0; b < 256; b++) {
    char text[6 + sizeof WORD_END];
    gsize n = (gsize) g_unichar_to_utf8 (characters[b], text);

    memcpy (text + n, WORD_END, strlen (WORD_END));
    for (guint last = 0; last < 2; last++) {
      guint32 id = seed_vocab_lookup (vocab, text, n + (last ? strlen (WORD_END) : 0));

      bpe->byte_ids[last][b] = id == SEED_VOCAB_NONE ? unknown : id;
    }
  }
  return bpe;
}

void
seed_bpe_free (SeedBpe *bpe)
{
  if (!bpe)
    return;
  seed_vocab_free (bpe->vocab);
  g_free (bpe->merges);
  g_free (bpe);
}

static Merge *
find_slot (const SeedBpe *bpe, guint64 pair)
{
  /* Fibonacci hashing, Knuth, The Art of Computer Programming 3, 6.4 */
  guint slot = (guint) (pair * 0x9e3779b97f4a7c15u >> 32) & (bpe->n_slots - 1);

  while (bpe->merges[slot].rank != 0 && bpe->merges[slot].pair != pair)
    slot = (slot + 1) & (bpe->n_slots - 1);
  return &bpe->merges[slot];
}

static void
grow (SeedBpe *bpe)
{
  g_autofree Merge *old = bpe->merges;
  guint n_old = bpe->n_slots;

  bpe->n_slots *= 2;
  bpe->merges = g_new0 (Merge, bpe->n_slots);
  for (guint i = 0; i < n_old; i++)
    if (old[i].rank != 0)
      *find_slot (bpe, old[i].pair) = old[i];
}

gboolean
seed_bpe_add_merge (SeedBpe *bpe, const char *left, gsize left_length, const char *right,
    gsize right_length, const char **problem)
{
  char both[2 * SEED_VOCAB_MAX_TOKEN_BYTES];
  guint32 left_id = seed_vocab_lookup (bpe->vocab, left, left_length);
  guint32 right_id = seed_vocab_lookup (bpe->vocab, right, right_length);
  guint32 result;
  Merge *merge;

  /* what was found is at most SEED_VOCAB_MAX_TOKEN_BYTES long */
  if (left_id == SEED_VOCAB_NONE || right_id == SEED_VOCAB_NONE) {
    *problem = left_id == SEED_VOCAB_NONE ? "its left part is not in the vocabulary"
                                          : "its right part is not in the vocabulary";
    return FALSE;
  }
  memcpy (both, left, left_length);
  memcpy (both + left_length, right, right_length);
  result = seed_vocab_lookup (bpe->vocab, both, left_length + right_length);
  if (result == SEED_VOCAB_NONE || bpe->rank == SEED_VOCAB_MAX_TOKENS) {
    *problem = result == SEED_VOCAB_NONE ? "its result is not in the vocabulary"
                                         : "there are more than 1048576 merges";
    return FALSE;
  }
  merge = find_slot (bpe, (guint64) left_id << 32 | right_id);
  if (merge->rank == 0)
    bpe->n_merges++;
  *merge = (Merge){ (guint64) left_id << 32 | right_id, ++bpe->rank, result };
  if (bpe->n_merges * 2 > bpe->n_slots)
    grow (bpe);
  return TRUE;
}

static gboolean
parse_merge (SeedBpe *bpe, const char *line, gsize length, const char **problem)
{
  const char *space = memchr (line, ' ', length);
  gsize left = space ? (gsize) (space - line) : 0;

  if (left == 0 || left + 1 == length || memchr (space + 1, ' ', length - left - 1)) {
    *problem = "expected two parts with one space between them";
    return FALSE;
  }
  return seed_bpe_add_merge (bpe, line, left, space + 1, length - left - 1, problem);
}

gboolean
seed_bpe_parse_merges (
    SeedBpe *bpe, const char *label, const char *text, gsize length, GError **error)
{
  guint line = 1;

  for (const char *begin = text, *end = text + length; begin < end; line++) {
    const char *newline = memchr (begin, '\n', (gsize) (end - begin));
    gsize n = (gsize) ((newline ? newline : end) - begin);
    const char *next = begin + n + 1, *problem;

    if (n > 0 && begin[n - 1] == '\r')
      n--;
    /* the first line says the version; a blank one may end the file */
    if (line > 1 && n > 0 && !parse_merge (bpe, begin, n, &problem)) {
      g_set_error (error, SEED_ERROR, SEED_ERROR_FORMAT, "%s:%u: this merge cannot be used: %s",
          label, line, problem);
      return FALSE;
    }
    if (!newline)
      break;
    begin = next;
  }
  return TRUE;
}

SeedBpeScratch *
seed_bpe_scratch_new (void)
{
  SeedBpeScratch *scratch = g_new0 (SeedBpeScratch, 1);

  scratch->symbols = g_array_new (FALSE, FALSE, sizeof (Symbol));
  scratch->heap = g_array_new (FALSE, FALSE, sizeof (Candidate));
  return scratch;
}

void
seed_bpe_scratch_free (SeedBpeScratch *scratch)
{
  if (!scratch)
    return;
  g_array_unref (scratch->symbols);
  g_array_unref (scratch->heap);
  g_free (scratch);
}

/* The best merge first; of the same merge the leftmost. */
static gboolean
is_before (const Candidate *a, const Candidate *b)
{
  return a->rank < b->rank || (a->rank == b->rank && a->left < b->left);
}

static void
heap_push (GArray *heap, Candidate candidate)
{
  Candidate *items;
  guint i = heap->len;

  g_array_set_size (heap, i + 1);
  items = &g_array_index (heap, Candidate, 0);
  for (; i > 0 && is_before (&candidate, &items[(i - 1) / 2]); i = (i - 1) / 2)
    items[i] = items[(i - 1) / 2];
  items[i] = candidate;
}

static Candidate
heap_pop (GArray *heap)
{
  Candidate *items = &g_array_index (heap, Candidate, 0);
  Candidate top = items[0], last = items[heap->len - 1];
  guint n = heap->len - 1, i = 0;

  g_array_set_size (heap, n);
  for (guint child = 1; child < n; child = 2 * i + 1) {
    if (child + 1 < n && is_before (&items[child + 1], &items[child]))
      child++;
    if (!is_before (&items[child], &last))
      break;
    items[i] = items[child];
    i = child;
  }
  if (n > 0)
    items[i] = last;
  return top;
}

static const Merge *
merge_of (const SeedBpe *bpe, const Symbol *symbols, gint32 left)
{
  const Merge *merge;

  if (left == NOTHING || symbols[left].next == NOTHING)
    return NULL;
  merge = find_slot (bpe, (guint64) symbols[left].id << 32 | symbols[symbols[left].next].id);
  return merge->rank ? merge : NULL;
}

static void
push_pair (const SeedBpe *bpe, SeedBpeScratch *scratch, gint32 left)
{
  const Merge *merge = merge_of (bpe, &g_array_index (scratch->symbols, Symbol, 0), left);

  if (merge)
    heap_push (scratch->heap, (Candidate){ merge->rank, (guint32) left, merge->result });
}

static void
apply (const SeedBpe *bpe, SeedBpeScratch *scratch, const Candidate *candidate)
{
  Symbol *symbols = &g_array_index (scratch->symbols, Symbol, 0);
  gint32 left = (gint32) candidate->left;
  const Merge *merge = symbols[left].id == SEED_VOCAB_NONE ? NULL : merge_of (bpe, symbols, left);
  gint32 right;

  /* its symbols may have been merged with others since */
  if (!merge || merge->result != candidate->result)
    return;
  right = symbols[left].next;
  symbols[left].id = merge->result;
  symbols[left].next = symbols[right].next;
  symbols[right].id = SEED_VOCAB_NONE;
  if (symbols[left].next != NOTHING)
    symbols[symbols[left].next].previous = left;
  push_pair (bpe, scratch, symbols[left].previous);
  push_pair (bpe, scratch, left);
}

void
seed_bpe_encode_word (
    const SeedBpe *bpe, SeedBpeScratch *scratch, const char *word, gsize length, GArray *ids)
{
  const Symbol *symbols;

  if (length == 0)
    return;
  g_array_set_size (scratch->symbols, (guint) length);
  g_array_set_size (scratch->heap, 0);
  for (gsize i = 0; i < length; i++)
    g_array_index (scratch->symbols, Symbol, i) =
        (Symbol){ bpe->byte_ids[i + 1 == length][(guchar) word[i]], (gint32) i - 1,
          i + 1 == length ? NOTHING : (gint32) i + 1 };
  for (gsize i = 0; i < length; i++)
    push_pair (bpe, scratch, (gint32) i);
  while (scratch->heap->len > 0) {
    Candidate candidate = heap_pop (scratch->heap);

    apply (bpe, scratch, &candidate);
  }
  symbols = &g_array_index (scratch->symbols, Symbol, 0);
  for (gint32 i = 0; i != NOTHING; i = symbols[i].next)
    g_array_append_val (ids, symbols[i].id);
}

const SeedVocab *
seed_bpe_vocab (const SeedBpe *bpe)
{
  return bpe->vocab;
}

gsize
seed_bpe_bytes (const SeedBpe *bpe)
{
  return sizeof *bpe + bpe->n_slots * sizeof *bpe->merges + seed_vocab_bytes (bpe->vocab);
}
