/* SPDX-License-Identifier: MIT */
#include <math.h>
#include <string.h>

#include <seed/error.h>

#include "text/spm-model.h"

/* https://protobuf.dev/programming-guides/encoding/ */
typedef enum {
  WIRE_VARINT = 0,
  WIRE_FIXED64 = 1,
  WIRE_BYTES = 2,
  WIRE_FIXED32 = 5,
} WireType;

/* Numbers of the fields that are read. */
enum { MODEL_PIECES = 1, MODEL_TRAINER = 2, MODEL_NORMALIZER = 3 };
enum { PIECE_TEXT = 1, PIECE_SCORE = 2, PIECE_TYPE = 3 };
enum { TRAINER_MODEL_TYPE = 3, TRAINER_WHITESPACE_AS_SUFFIX = 24, TRAINER_BYTE_FALLBACK = 35 };
enum {
  NORMALIZER_CHARSMAP = 2,
  NORMALIZER_DUMMY_PREFIX = 3,
  NORMALIZER_REMOVE_EXTRA = 4,
  NORMALIZER_ESCAPE = 5
};

#define MODEL_TYPE_UNIGRAM 1u

typedef struct {
  const char *label;
  const guint8 *start;     /* of the file */
  const guint8 *pos, *end; /* of the message */
  GError **error;
} Reader;

typedef struct {
  guint64 number;
  WireType wire;
  guint64 value; /* of a varint or a fixed one; the length of bytes */
  const guint8 *bytes;
  gsize at; /* in the file */
} Field;

static gboolean
fail (const Reader *reader, gsize at, SeedErrorCode code, const char *reason)
{
  if (reader->error && *reader->error)
    return FALSE;
  g_set_error (reader->error, SEED_ERROR, code, "%s: byte %" G_GSIZE_FORMAT ": %s", reader->label,
      at, reason);
  return FALSE;
}

static gsize
tell (const Reader *reader)
{
  return (gsize) (reader->pos - reader->start);
}

static gboolean
read_varint (Reader *reader, guint64 *value)
{
  gsize at = tell (reader);

  *value = 0;
  for (guint shift = 0; shift < 64; shift += 7) {
    guint8 byte;

    if (reader->pos == reader->end)
      return fail (reader, at, SEED_ERROR_FORMAT, "a number is cut off");
    byte = *reader->pos++;
    *value |= (guint64) (byte & 0x7f) << shift;
    if (!(byte & 0x80))
      return TRUE;
  }
  return fail (reader, at, SEED_ERROR_FORMAT, "a number of more than 64 bits");
}

static gboolean
read_fixed (Reader *reader, guint n, guint64 *value)
{
  if (reader->end - reader->pos < (gssize) n)
    return fail (reader, tell (reader), SEED_ERROR_FORMAT, "a number is cut off");
  *value = 0;
  for (guint i = 0; i < n; i++)
    *value |= (guint64) reader->pos[i] << (8 * i);
  reader->pos += n;
  return TRUE;
}

/* FALSE at the end of the message, and on an error. */
static gboolean
next_field (Reader *reader, Field *field)
{
  guint64 tag;

  if (reader->pos == reader->end)
    return FALSE;
  *field = (Field){ .at = tell (reader) };
  if (!read_varint (reader, &tag))
    return FALSE;
  field->number = tag >> 3;
  field->wire = tag & 7;
  if (field->number == 0)
    return fail (reader, field->at, SEED_ERROR_FORMAT, "a field of number 0");
  switch (field->wire) {
  case WIRE_VARINT:
    return read_varint (reader, &field->value);
  case WIRE_FIXED64:
    return read_fixed (reader, 8, &field->value);
  case WIRE_FIXED32:
    return read_fixed (reader, 4, &field->value);
  case WIRE_BYTES:
    if (!read_varint (reader, &field->value))
      return FALSE;
    if (field->value > (guint64) (reader->end - reader->pos))
      return fail (reader, field->at, SEED_ERROR_FORMAT, "a field reaches past its message's end");
    field->bytes = reader->pos;
    reader->pos += field->value;
    return TRUE;
  default:
    return fail (reader, field->at, SEED_ERROR_FORMAT, "a field of an unknown wire type");
  }
}

/* Whether the message ended without an error; a field of the wrong type is one. */
static gboolean
expect (Reader *reader, const Field *field, WireType wire)
{
  return field->wire == wire ||
         fail (reader, field->at, SEED_ERROR_FORMAT, "a field of the wrong wire type");
}

static gboolean
read_flag (Reader *reader, const Field *field, gboolean *flag)
{
  *flag = field->value != 0;
  return expect (reader, field, WIRE_VARINT);
}

static gboolean
finished (const Reader *reader, gboolean ok)
{
  return ok && reader->pos == reader->end && !*reader->error;
}

static Reader
enter (const Reader *reader, const Field *field)
{
  return (Reader){ reader->label, reader->start, field->bytes, field->bytes + field->value,
    reader->error };
}

static gboolean
check_piece (const Reader *reader, const Field *field, const SeedSpmPiece *piece)
{
  if (piece->length == 0)
    return fail (reader, field->at, SEED_ERROR_FORMAT, "a piece without text");
  if (piece->length > SEED_SPM_MAX_PIECE_BYTES)
    return fail (reader, field->at, SEED_ERROR_LIMIT, "a piece longer than 1024 bytes");
  if (!g_utf8_validate_len (piece->text, piece->length, NULL))
    return fail (reader, field->at, SEED_ERROR_FORMAT, "a piece that is not UTF-8");
  if (!isfinite (piece->score))
    return fail (reader, field->at, SEED_ERROR_NUMERIC, "a piece with a score that is not finite");
  if (piece->type < SEED_SPM_NORMAL || piece->type > SEED_SPM_BYTE)
    return fail (reader, field->at, SEED_ERROR_FORMAT, "a piece of an unknown type");
  return TRUE;
}

static gboolean
read_piece (SeedSpmModel *model, Reader *reader, const Field *message)
{
  Reader inner = enter (reader, message);
  SeedSpmPiece piece = { .type = SEED_SPM_NORMAL };
  Field field;
  gboolean ok = TRUE;

  while (ok && next_field (&inner, &field)) {
    if (field.number == PIECE_TEXT) {
      ok = expect (&inner, &field, WIRE_BYTES);
      piece.text = (const char *) field.bytes;
      piece.length = (guint32) MIN (field.value, G_MAXUINT32);
    } else if (field.number == PIECE_SCORE) {
      guint32 bits = (guint32) field.value;

      ok = expect (&inner, &field, WIRE_FIXED32);
      memcpy (&piece.score, &bits, sizeof bits);
    } else if (field.number == PIECE_TYPE) {
      ok = expect (&inner, &field, WIRE_VARINT);
      piece.type = (SeedSpmType) MIN (field.value, SEED_SPM_BYTE + 1);
    }
  }
  if (!finished (&inner, ok) || !check_piece (reader, message, &piece))
    return FALSE;
  if (model->pieces->len >= SEED_SPM_MAX_PIECES)
    return fail (reader, message->at, SEED_ERROR_LIMIT, "more than 1048576 pieces");
  g_array_append_val (model->pieces, piece);
  return TRUE;
}

static gboolean
read_trainer (SeedSpmModel *model, Reader *reader, const Field *message)
{
  Reader inner = enter (reader, message);
  Field field;
  gboolean ok = TRUE;

  while (ok && next_field (&inner, &field)) {
    if (field.number == TRAINER_MODEL_TYPE) {
      ok = expect (&inner, &field, WIRE_VARINT);
      model->model_type = (guint32) MIN (field.value, G_MAXUINT32);
    } else if (field.number == TRAINER_WHITESPACE_AS_SUFFIX)
      ok = read_flag (&inner, &field, &model->whitespace_as_suffix);
    else if (field.number == TRAINER_BYTE_FALLBACK)
      ok = read_flag (&inner, &field, &model->byte_fallback);
  }
  return finished (&inner, ok);
}

static gboolean
read_normalizer (SeedSpmModel *model, Reader *reader, const Field *message)
{
  Reader inner = enter (reader, message);
  Field field;
  gboolean ok = TRUE;

  while (ok && next_field (&inner, &field)) {
    if (field.number == NORMALIZER_CHARSMAP) {
      ok = expect (&inner, &field, WIRE_BYTES);
      model->charsmap = (const char *) field.bytes;
      model->charsmap_length = (gsize) field.value;
    } else if (field.number == NORMALIZER_DUMMY_PREFIX)
      ok = read_flag (&inner, &field, &model->add_dummy_prefix);
    else if (field.number == NORMALIZER_REMOVE_EXTRA)
      ok = read_flag (&inner, &field, &model->remove_extra_whitespaces);
    else if (field.number == NORMALIZER_ESCAPE)
      ok = read_flag (&inner, &field, &model->escape_whitespaces);
  }
  return finished (&inner, ok);
}

gboolean
seed_spm_model_parse (SeedSpmModel *model, GBytes *bytes, const char *label, GError **error)
{
  GError *first = NULL;
  gsize length;
  const guint8 *data = g_bytes_get_data (bytes, &length);
  Reader reader = { label, data, data, data + length, &first };
  Field field;
  gboolean ok = TRUE;

  *model = (SeedSpmModel){ .bytes = g_bytes_ref (bytes),
    .model_type = MODEL_TYPE_UNIGRAM,
    .add_dummy_prefix = TRUE,
    .remove_extra_whitespaces = TRUE,
    .escape_whitespaces = TRUE,
    .pieces = g_array_new (FALSE, FALSE, sizeof (SeedSpmPiece)) };
  while (ok && next_field (&reader, &field)) {
    if (field.number > MODEL_NORMALIZER)
      continue;
    ok = expect (&reader, &field, WIRE_BYTES) &&
         (field.number == MODEL_PIECES       ? read_piece (model, &reader, &field)
             : field.number == MODEL_TRAINER ? read_trainer (model, &reader, &field)
                                             : read_normalizer (model, &reader, &field));
  }
  if (finished (&reader, ok) && model->pieces->len == 0)
    fail (&reader, 0, SEED_ERROR_FORMAT, "no pieces; this is no SentencePiece model");
  else if (!first && model->model_type != MODEL_TYPE_UNIGRAM)
    fail (&reader, 0, SEED_ERROR_UNSUPPORTED,
        "not a unigram model; SentencePiece's other types are not supported");
  if (!first)
    return TRUE;
  g_propagate_error (error, first);
  return FALSE;
}

void
seed_spm_model_clear (SeedSpmModel *model)
{
  g_clear_pointer (&model->bytes, g_bytes_unref);
  g_clear_pointer (&model->pieces, g_array_unref);
}
