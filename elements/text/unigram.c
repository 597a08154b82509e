/* SPDX-License-Identifier: MIT */
#include <string.h>

#include <seed/error.h>

#include "text/spm-normalizer.h"
#include "text/unigram.h"
#include "text/vocab.h"

#define UNKNOWN_PENALTY 10.0f   /* below the worst piece */
#define USER_DEFINED_GAIN 0.1   /* per byte after the first */
#define RESCALE_SCORE 100000.0f /* beyond it a float loses too much of what is added */
#define NONE G_MAXUINT32

struct _SeedUnigram {
  SeedSpmModel model;
  SeedSpmNormalizer normalizer;
  /*
   * Ids of the pieces that text can be cut into, in the order of their bytes: all with a common
   * prefix are one range, which a further byte narrows.
   */
  GArray *sorted;
  guint first[257];    /* those that begin with byte b: sorted[first[b]..first[b + 1]) */
  SeedVocab *reserved; /* the other pieces */
  guint32 unknown;
  guint32 byte_ids[256];
  float min_score; /* of normal pieces */
  gboolean has_user_defined;
};

static const SeedSpmPiece *
piece_at (const SeedUnigram *unigram, guint32 id)
{
  return &g_array_index (unigram->model.pieces, SeedSpmPiece, id);
}

static const SeedSpmPiece *
sorted_at (const SeedUnigram *unigram, guint index)
{
  return piece_at (unigram, g_array_index (unigram->sorted, guint32, index));
}

static int
compare_pieces (gconstpointer a, gconstpointer b, gpointer data)
{
  const SeedSpmPiece *left = piece_at (data, *(const guint32 *) a);
  const SeedSpmPiece *right = piece_at (data, *(const guint32 *) b);
  int order = memcmp (left->text, right->text, MIN (left->length, right->length));

  return order ? order : (int) left->length - (int) right->length;
}

static gboolean
fail_piece (
    const char *label, const SeedSpmPiece *piece, guint32 id, const char *reason, GError **error)
{
  g_set_error (error, SEED_ERROR, SEED_ERROR_FORMAT, "%s: piece %u \"%.*s\": %s", label, id,
      (int) piece->length, piece->text, reason);
  return FALSE;
}

static gboolean
sort_pieces (SeedUnigram *unigram, const char *label, GError **error)
{
  g_array_sort_with_data (unigram->sorted, compare_pieces, unigram);
  for (guint i = 0; i < unigram->sorted->len; i++) {
    guint32 *id = &g_array_index (unigram->sorted, guint32, i);
    const SeedSpmPiece *piece = piece_at (unigram, *id);

    if (i > 0 && compare_pieces (id - 1, id, unigram) == 0)
      return fail_piece (label, piece, *id, "it is there twice", error);
    unigram->first[(guchar) *piece->text + 1] = i + 1;
  }
  for (guint b = 1; b <= 256; b++)
    unigram->first[b] = MAX (unigram->first[b], unigram->first[b - 1]);
  return TRUE;
}

/* "<0x0A>" */
static gboolean
parse_byte (const SeedSpmPiece *piece, guint *byte)
{
  int high, low;

  if (piece->length != 6 || memcmp (piece->text, "<0x", 3) != 0 || piece->text[5] != '>')
    return FALSE;
  high = g_ascii_xdigit_value (piece->text[3]);
  low = g_ascii_xdigit_value (piece->text[4]);
  *byte = (guint) (high * 16 + low);
  return high >= 0 && low >= 0;
}

static gboolean
reserve (SeedUnigram *unigram, guint32 id, const char *label, GError **error)
{
  const SeedSpmPiece *piece = piece_at (unigram, id);
  const char *problem;
  guint byte;

  if (seed_vocab_lookup (unigram->reserved, piece->text, piece->length) != SEED_VOCAB_NONE)
    return fail_piece (label, piece, id, "it is there twice", error);
  if (!seed_vocab_add (unigram->reserved, piece->text, piece->length, id, &problem))
    return fail_piece (label, piece, id, problem, error);
  if (piece->type == SEED_SPM_UNKNOWN) {
    if (unigram->unknown != NONE)
      return fail_piece (label, piece, id, "a second unknown piece", error);
    unigram->unknown = id;
  } else if (piece->type == SEED_SPM_BYTE) {
    if (!unigram->model.byte_fallback || !parse_byte (piece, &byte))
      return fail_piece (label, piece, id,
          unigram->model.byte_fallback ? "a byte must be written <0xHH>"
                                       : "a byte, but byte_fallback is off",
          error);
    unigram->byte_ids[byte] = id;
  }
  return TRUE;
}

static gboolean
index_pieces (SeedUnigram *unigram, const char *label, GError **error)
{
  for (guint32 id = 0; id < unigram->model.pieces->len; id++) {
    const SeedSpmPiece *piece = piece_at (unigram, id);

    switch (piece->type) {
    case SEED_SPM_NORMAL:
      unigram->min_score = MIN (unigram->min_score, piece->score);
      g_array_append_val (unigram->sorted, id);
      break;
    case SEED_SPM_USER_DEFINED:
      unigram->has_user_defined = TRUE;
      g_array_append_val (unigram->sorted, id);
      break;
    case SEED_SPM_UNUSED:
      g_array_append_val (unigram->sorted, id);
      break;
    default:
      if (!reserve (unigram, id, label, error))
        return FALSE;
    }
  }
  return sort_pieces (unigram, label, error);
}

static gboolean
check_complete (const SeedUnigram *unigram, const char *label, GError **error)
{
  if (unigram->unknown == NONE) {
    g_set_error (
        error, SEED_ERROR, SEED_ERROR_FORMAT, "%s: no piece for unknown characters", label);
    return FALSE;
  }
  for (guint b = 0; unigram->model.byte_fallback && b < 256; b++)
    if (unigram->byte_ids[b] == NONE) {
      g_set_error (error, SEED_ERROR, SEED_ERROR_FORMAT,
          "%s: byte_fallback is on, but there is no piece <0x%02X>", label, b);
      return FALSE;
    }
  return TRUE;
}

SeedUnigram *
seed_unigram_parse (GBytes *bytes, const char *label, GError **error)
{
  g_autoptr (SeedUnigram) unigram = g_new0 (SeedUnigram, 1);

  unigram->sorted = g_array_new (FALSE, FALSE, sizeof (guint32));
  unigram->reserved = seed_vocab_new ();
  unigram->unknown = NONE;
  memset (unigram->byte_ids, 0xff, sizeof unigram->byte_ids);
  unigram->min_score = G_MAXFLOAT;
  if (!seed_spm_model_parse (&unigram->model, bytes, label, error) ||
      !seed_spm_normalizer_init (&unigram->normalizer, &unigram->model, label, error) ||
      !index_pieces (unigram, label, error) || !check_complete (unigram, label, error))
    return NULL;
  return g_steal_pointer (&unigram);
}

void
seed_unigram_free (SeedUnigram *unigram)
{
  if (!unigram)
    return;
  seed_spm_model_clear (&unigram->model);
  g_array_unref (unigram->sorted);
  seed_vocab_free (unigram->reserved);
  g_free (unigram);
}

void
seed_unigram_set_dummy_prefix (SeedUnigram *unigram, gboolean add)
{
  unigram->normalizer.add_dummy_prefix = add;
}

/* A range of `sorted` whose pieces share their first @depth bytes. */
typedef struct {
  guint begin, end, depth;
} Walk;

/* The first piece in begin..end whose byte at @depth is @byte or more. */
static guint
lower_bound (const SeedUnigram *unigram, guint begin, guint end, guint depth, guint byte)
{
  while (begin < end) {
    guint middle = begin + (end - begin) / 2;
    const SeedSpmPiece *piece = sorted_at (unigram, middle);

    if (piece->length <= depth || (guchar) piece->text[depth] < byte)
      begin = middle + 1;
    else
      end = middle;
  }
  return begin;
}

/*
 * Narrows to the pieces that go on with @byte. FALSE when there are none; else @id is the piece
 * that ends here, or NONE.
 */
static gboolean
walk (const SeedUnigram *unigram, Walk *at, guint byte, guint32 *id)
{
  if (at->depth == 0) {
    at->begin = unigram->first[byte];
    at->end = unigram->first[byte + 1];
  } else {
    at->begin = lower_bound (unigram, at->begin, at->end, at->depth, byte);
    at->end = lower_bound (unigram, at->begin, at->end, at->depth, byte + 1);
  }
  at->depth++;
  *id = NONE;
  if (at->begin >= at->end)
    return FALSE;
  if (sorted_at (unigram, at->begin)->length == at->depth)
    *id = g_array_index (unigram->sorted, guint32, at->begin);
  return TRUE;
}

static gsize
match_user_defined (gconstpointer data, const char *text, gsize length)
{
  const SeedUnigram *unigram = data;
  Walk at = { 0 };
  gsize longest = 0;
  guint32 id;

  for (gsize i = 0; i < length && walk (unigram, &at, (guchar) text[i], &id); i++)
    if (id != NONE && piece_at (unigram, id)->type == SEED_SPM_USER_DEFINED)
      longest = i + 1;
  return longest;
}

/* The best cut of the text up to some byte: its last piece, and where that begins. */
typedef struct {
  float score;
  guint32 id, begin; /* begin NONE: not reached yet */
} Best;

static void
consider (Best *best, guint32 begin, guint32 id, float score)
{
  if (best->begin == NONE || score > best->score)
    *best = (Best){ score, id, begin };
}

/*
 * Extends the best cut up to @from by every piece; returns the farthest byte that one reaches.
 * Scores are float, so that ties and near-ties fall as they do in the original (0.2.3).
 */
static guint32
extend (const SeedUnigram *unigram, const char *text, guint32 from, guint32 length, Best *best)
{
  guint32 character = (guint32) (g_utf8_next_char (text + from) - (text + from)), id;
  guint32 farthest = from;
  float here = best[from].score;
  gboolean whole_character = FALSE;
  Walk at = { 0 };

  character = MIN (character, length - from);
  for (guint32 pos = from; pos < length && walk (unigram, &at, (guchar) text[pos], &id);) {
    const SeedSpmPiece *piece;
    float score;

    pos++;
    if (id == NONE)
      continue;
    piece = piece_at (unigram, id);
    if (piece->type == SEED_SPM_UNUSED)
      continue;
    score = piece->type == SEED_SPM_USER_DEFINED
                ? (float) (USER_DEFINED_GAIN * (double) (pos - from - 1))
                : piece->score;
    consider (&best[pos], from, id, score + here);
    farthest = pos;
    whole_character |= pos - from == character;
  }
  if (!whole_character) {
    consider (&best[from + character], from, unigram->unknown,
        unigram->min_score - UNKNOWN_PENALTY + here);
    farthest = MAX (farthest, from + character);
  }
  return farthest;
}

/* Only differences count: those that are still open are measured from @from's. */
static void
rescale (Best *best, guint32 from, guint32 farthest)
{
  float offset = best[from].score;

  for (guint32 i = from; i <= farthest; i++)
    if (i == from || best[i].begin != NONE)
      best[i].score -= offset;
}

static void
find_best (const SeedUnigram *unigram, const char *text, guint32 length, Best *best)
{
  guint32 farthest = 0;

  for (guint32 i = 0; i <= length; i++)
    best[i] = (Best){ .id = NONE, .begin = NONE };
  for (guint32 from = 0; from < length;) {
    guint32 next = from + (guint32) (g_utf8_next_char (text + from) - (text + from)), reached;

    if (ABS (best[from].score) > RESCALE_SCORE)
      rescale (best, from, farthest);
    reached = extend (unigram, text, from, length, best);
    farthest = MAX (farthest, reached);
    from = MIN (next, length);
  }
}

static void
append_ids (
    const SeedUnigram *unigram, const char *text, const Best *best, guint32 length, GArray *ids)
{
  g_autoptr (GArray) ends = g_array_new (FALSE, FALSE, sizeof (guint32));
  gboolean after_unknown = FALSE;

  for (guint32 end = length; end > 0; end = best[end].begin)
    g_array_append_val (ends, end);
  for (guint i = ends->len; i-- > 0;) {
    guint32 end = g_array_index (ends, guint32, i);
    gboolean unknown = best[end].id == unigram->unknown;

    if (unknown && unigram->model.byte_fallback)
      for (guint32 pos = best[end].begin; pos < end; pos++)
        g_array_append_val (ids, unigram->byte_ids[(guchar) text[pos]]);
    else if (!unknown || !after_unknown) /* unknown characters in a row are one id */
      g_array_append_val (ids, best[end].id);
    after_unknown = unknown;
  }
}

void
seed_unigram_encode (const SeedUnigram *unigram, const char *text, gsize length, GArray *ids)
{
  g_autoptr (GString) normalized = g_string_sized_new (length);
  g_autofree Best *best = NULL;
  guint32 n;

  seed_spm_normalize (&unigram->normalizer, unigram->has_user_defined ? match_user_defined : NULL,
      unigram, text, length, normalized);
  if (normalized->len == 0 || normalized->len >= NONE)
    return;
  n = (guint32) normalized->len;
  best = g_new (Best, (gsize) n + 1);
  find_best (unigram, normalized->str, n, best);
  append_ids (unigram, normalized->str, best, n, ids);
}

guint32
seed_unigram_lookup (const SeedUnigram *unigram, const char *piece, gsize length)
{
  guint32 id = seed_vocab_lookup (unigram->reserved, piece, length);
  Walk at = { 0 };

  if (id != SEED_VOCAB_NONE)
    return id;
  for (gsize i = 0; i < length; i++)
    if (!walk (unigram, &at, (guchar) piece[i], &id))
      return unigram->unknown;
  return id == NONE ? unigram->unknown : id;
}

guint32
seed_unigram_unknown (const SeedUnigram *unigram)
{
  return unigram->unknown;
}

guint
seed_unigram_n_pieces (const SeedUnigram *unigram)
{
  return unigram->model.pieces->len;
}

gsize
seed_unigram_bytes (const SeedUnigram *unigram)
{
  return sizeof *unigram + g_bytes_get_size (unigram->model.bytes) +
         unigram->model.pieces->len * sizeof (SeedSpmPiece) +
         unigram->sorted->len * sizeof (guint32) + seed_vocab_bytes (unigram->reserved);
}
