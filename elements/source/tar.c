/* SPDX-License-Identifier: MIT */
#include "source/tar.h"

#include <string.h>

#include <seed/error.h>

/* Fields of a header: offset and length (POSIX.1-2001, pax, "ustar Interchange Format"). */
enum {
  NAME = 0,
  NAME_SIZE = 100,
  SIZE = 124,
  SIZE_SIZE = 12,
  CHECKSUM = 148,
  CHECKSUM_SIZE = 8,
  TYPE = 156,
  TARGET = 157,
  TARGET_SIZE = 100,
  MAGIC = 257,
  PREFIX = 345,
  PREFIX_SIZE = 155,
  GNU_IS_EXTENDED = 482,       /* of a sparse member: a map block follows */
  GNU_BLOCK_IS_EXTENDED = 504, /* of such a block: another one follows */
};

#define MAX_SIZE (G_GUINT64_CONSTANT (1) << 62) /* so that sums do not overflow */

/* What headers before a member say of it. */
typedef struct {
  GString *name, *target;
  guint64 size;
  gboolean has_name, has_target, has_size, is_sparse;
  const char *refused;
} Said;

struct _SeedTarReader {
  SeedByteStream *stream;
  Said said;
  char *name, *target; /* of the member that was given out */
  guint64 left;        /* of its data */
  guint padding;       /* behind its data */
  gboolean ended;
};

SeedTarReader *
seed_tar_reader_new (SeedByteStream *stream)
{
  SeedTarReader *reader = g_new0 (SeedTarReader, 1);

  reader->stream = stream;
  reader->said.name = g_string_new (NULL);
  reader->said.target = g_string_new (NULL);
  return reader;
}

void
seed_tar_reader_free (SeedTarReader *reader)
{
  if (!reader)
    return;
  g_string_free (reader->said.name, TRUE);
  g_string_free (reader->said.target, TRUE);
  g_free (reader->name);
  g_free (reader->target);
  g_free (reader);
}

G_GNUC_PRINTF (4, 5)
static gboolean
fail (SeedTarReader *reader, guint64 at, GError **error, const char *format, ...)
{
  g_autofree char *what = NULL;
  va_list args;

  va_start (args, format);
  what = g_strdup_vprintf (format, args);
  va_end (args);
  reader->ended = TRUE;
  g_set_error (error, SEED_ERROR, SEED_ERROR_FORMAT, "byte %" G_GUINT64_FORMAT ": %s", at, what);
  return FALSE;
}

static gboolean
cannot_read (SeedTarReader *reader, GError **error)
{
  g_prefix_error (error, "byte %" G_GUINT64_FORMAT ": ", seed_byte_stream_tell (reader->stream));
  reader->ended = TRUE;
  return FALSE;
}

/* --- fields ----------------------------------------------------------------------------------- */

/* Octal text between spaces and a NUL, or GNU's big-endian binary. */
static gboolean
parse_number (const guint8 *field, guint size, guint64 *number)
{
  guint i = 0;

  *number = 0;
  if (field[0] & 0x80) {
    *number = field[0] & 0x7f; /* 0x7f: negative, which the limit refuses */
    for (i = 1; i < size && *number < MAX_SIZE / 256; i++)
      *number = *number << 8 | field[i];
    return i == size;
  }
  while (i < size && field[i] == ' ')
    i++;
  for (; i < size && field[i] >= '0' && field[i] <= '7'; i++)
    *number = *number << 3 | (guint64) (field[i] - '0'); /* 12 digits are 36 bits */
  for (; i < size; i++) {
    if (field[i] != ' ' && field[i] != '\0')
      return FALSE;
  }
  return TRUE;
}

gboolean
seed_tar_is_header (const guint8 *block)
{
  guint64 expected;
  guint sum = 0;
  gint signed_sum = 0; /* as some old programs did it */

  if (!parse_number (block + CHECKSUM, CHECKSUM_SIZE, &expected))
    return FALSE;
  for (guint i = 0; i < SEED_TAR_BLOCK; i++) {
    gboolean is_field = i >= CHECKSUM && i < CHECKSUM + CHECKSUM_SIZE;

    sum += is_field ? ' ' : block[i];
    signed_sum += is_field ? ' ' : (gint8) block[i];
  }
  return expected > 0 && (sum == expected || (gint64) signed_sum == (gint64) expected);
}

static gboolean
is_zero (const guint8 *block)
{
  return block[0] == 0 && memcmp (block, block + 1, SEED_TAR_BLOCK - 1) == 0;
}

/* A name of a header without extensions. */
static char *
header_name (const guint8 *block)
{
  const char *prefix = (const char *) block + PREFIX;
  g_autofree char *name = g_strndup ((const char *) block + NAME, NAME_SIZE);
  g_autofree char *before = NULL;

  if (memcmp (block + MAGIC, "ustar\0", 6) != 0 || *prefix == '\0')
    return g_steal_pointer (&name);
  before = g_strndup (prefix, PREFIX_SIZE);
  return g_strconcat (before, "/", name, NULL);
}

char *
seed_tar_clean_name (const char *name)
{
  g_auto (GStrv) parts = g_strsplit (name, "/", -1);
  g_autoptr (GString) clean = g_string_new (NULL);

  for (guint i = 0; parts[i]; i++) {
    if (g_str_equal (parts[i], ".."))
      return NULL;
    if (*parts[i] == '\0' || g_str_equal (parts[i], "."))
      continue;
    if (clean->len > 0)
      g_string_append_c (clean, '/');
    g_string_append (clean, parts[i]);
  }
  return clean->len > 0 ? g_string_free (g_steal_pointer (&clean), FALSE) : NULL;
}

/* --- extensions ------------------------------------------------------------------------------- */

static void
forget_said (SeedTarReader *reader)
{
  Said *said = &reader->said;

  g_string_truncate (said->name, 0);
  g_string_truncate (said->target, 0);
  said->size = 0;
  said->has_name = said->has_target = said->has_size = said->is_sparse = FALSE;
  said->refused = NULL;
}

/* Passes over what is left of a member and its padding. FALSE: the archive ends before. */
static gboolean
finish_member (SeedTarReader *reader, GError **error)
{
  guint64 size = reader->left + reader->padding;
  gint64 n = seed_byte_stream_skip (reader->stream, size, error);

  if (n < 0)
    return cannot_read (reader, error);
  reader->left = reader->padding = 0;
  if ((guint64) n < size)
    return fail (reader, seed_byte_stream_tell (reader->stream), error,
        "the archive ends within \"%s\"; it is cut short", reader->name ? reader->name : "");
  return TRUE;
}

static void
begin_data (SeedTarReader *reader, guint64 size)
{
  reader->left = size;
  reader->padding = (guint) (-size & (SEED_TAR_BLOCK - 1));
}

/* The data of an extension header. @limit: a longer one is passed over, and NULL returned without
 * an error. */
static char *
read_extension (SeedTarReader *reader, guint64 size, guint64 limit, GError **error)
{
  g_autofree char *data = NULL;
  guint64 at = seed_byte_stream_tell (reader->stream);

  begin_data (reader, size);
  if (size <= limit) {
    gssize n;

    data = g_malloc0 ((gsize) size + 1);
    n = seed_tar_reader_read (reader, data, (gsize) size, error);
    if (n < 0)
      return NULL;
    if ((guint64) n < size) {
      fail (reader, at, error, "the archive ends within an extended header; it is cut short");
      return NULL;
    }
  }
  return finish_member (reader, error) ? g_steal_pointer (&data) : NULL;
}

static gboolean
read_long_name (SeedTarReader *reader, guint64 size, GString *name, gboolean *has, GError **error)
{
  GError *local = NULL;
  g_autofree char *data = read_extension (reader, size, SEED_TAR_MAX_NAME, &local);

  if (local) {
    g_propagate_error (error, local);
    return FALSE;
  }
  if (data) {
    g_string_assign (name, data);
    *has = TRUE;
  } else {
    reader->said.refused = "its name is too long";
  }
  return TRUE;
}

static gboolean
take_pax_record (Said *said, const char *key, const char *value, gsize length)
{
  if (strlen (value) != length)
    return FALSE; /* a NUL within */
  if (g_str_equal (key, "path")) {
    g_string_assign (said->name, value);
    said->has_name = TRUE;
  } else if (g_str_equal (key, "linkpath")) {
    g_string_assign (said->target, value);
    said->has_target = TRUE;
  } else if (g_str_equal (key, "size")) {
    said->has_size =
        g_ascii_string_to_unsigned (value, 10, 0, MAX_SIZE, (guint64 *) &said->size, NULL);
    return said->has_size;
  } else if (g_str_has_prefix (key, "GNU.sparse.")) {
    said->is_sparse = TRUE;
    if (g_str_equal (key, "GNU.sparse.name")) {
      g_string_assign (said->name, value);
      said->has_name = TRUE;
    }
  }
  return TRUE;
}

/* Records of "length key=value\n", the length counting all of that. Changes @text. */
static gboolean
parse_pax (Said *said, char *text, gsize size)
{
  gsize at = 0;

  while (at < size) {
    char *digits = text + at, *space = memchr (digits, ' ', MIN (size - at, 20)), *equals;
    guint64 length;

    if (!space)
      return FALSE;
    *space = '\0';
    if (!g_ascii_string_to_unsigned (digits, 10, 1, size - at, &length, NULL) ||
        length < (gsize) (space - digits) + 3 || text[at + length - 1] != '\n')
      return FALSE;
    text[at + length - 1] = '\0';
    equals = memchr (space + 1, '=', length - (gsize) (space + 1 - digits));
    if (!equals)
      return FALSE;
    *equals = '\0';
    if (!take_pax_record (
            said, space + 1, equals + 1, (gsize) (text + at + length - 1 - (equals + 1))))
      return FALSE;
    at += length;
  }
  return TRUE;
}

static gboolean
read_pax (SeedTarReader *reader, guint64 size, gboolean is_global, GError **error)
{
  GError *local = NULL;
  g_autofree char *data = read_extension (reader, size, SEED_TAR_MAX_EXTENSION, &local);

  if (local) {
    g_propagate_error (error, local);
    return FALSE;
  }
  if (is_global)
    return TRUE; /* times, owners and comments: nothing that is of use here */
  if (!data)
    reader->said.refused = "its extended header is larger than 1 MiB";
  else if (!parse_pax (&reader->said, data, (gsize) size))
    reader->said.refused = "its extended header is damaged";
  return TRUE;
}

/* Map blocks between the header of a GNU sparse member and its data. */
static gboolean
skip_sparse_map (SeedTarReader *reader, const guint8 *header, GError **error)
{
  gboolean more = header[GNU_IS_EXTENDED] != 0;
  guint8 block[SEED_TAR_BLOCK];

  while (more) {
    guint64 at = seed_byte_stream_tell (reader->stream);
    gssize n = seed_byte_stream_read (reader->stream, block, sizeof block, error);

    if (n < 0)
      return cannot_read (reader, error);
    if (n < SEED_TAR_BLOCK)
      return fail (reader, at, error, "the archive ends within a map of holes; it is cut short");
    more = block[GNU_BLOCK_IS_EXTENDED] != 0;
  }
  return TRUE;
}

/* --- members ---------------------------------------------------------------------------------- */

static SeedTarKind
kind_of (guint8 type, const char *name)
{
  switch (type) {
  case '\0':
  case '0':
  case '7':
  case 'S':
    return g_str_has_suffix (name, "/") ? SEED_TAR_FOLDER : SEED_TAR_FILE;
  case '1':
    return SEED_TAR_HARD_LINK;
  case '2':
    return SEED_TAR_SYMBOLIC_LINK;
  case '5':
    return SEED_TAR_FOLDER;
  default:
    return SEED_TAR_OTHER;
  }
}

static gboolean
give_member (
    SeedTarReader *reader, const guint8 *block, guint64 size, SeedTarMember *member, GError **error)
{
  Said *said = &reader->said;
  guint8 type = block[TYPE];
  guint64 data_size = said->has_size ? said->size : type == '1' ? 0 : size;

  g_free (reader->name);
  g_free (reader->target);
  reader->name = said->has_name ? g_strdup (said->name->str) : header_name (block);
  reader->target = said->has_target ? g_strdup (said->target->str)
                                    : g_strndup ((const char *) block + TARGET, TARGET_SIZE);
  if (type == 'S' && !skip_sparse_map (reader, block, error))
    return FALSE;
  *member = (SeedTarMember){ .kind = kind_of (type, reader->name),
    .name = reader->name,
    .target = reader->target,
    .offset = seed_byte_stream_tell (reader->stream),
    .size = data_size,
    .refused = said->refused ? said->refused
               : said->is_sparse || type == 'S'
                   ? "it is stored with holes (sparse), which is not read"
                   : NULL };
  begin_data (reader, data_size);
  forget_said (reader);
  return TRUE;
}

/* TRUE with *@block a header, or ended. */
static gboolean
read_header (SeedTarReader *reader, guint8 *block, GError **error)
{
  guint64 at = seed_byte_stream_tell (reader->stream);
  gssize n = seed_byte_stream_read (reader->stream, block, SEED_TAR_BLOCK, error);

  if (n < 0)
    return cannot_read (reader, error);
  if (n < SEED_TAR_BLOCK)
    return fail (reader, at, error,
        "the archive ends without the blocks that mark its end; it may be cut short");
  if (is_zero (block))
    reader->ended = TRUE;
  else if (!seed_tar_is_header (block))
    return fail (reader, at, error, "not a tar header (its checksum is wrong)");
  return TRUE;
}

gboolean
seed_tar_reader_next (SeedTarReader *reader, SeedTarMember *member, GError **error)
{
  guint8 block[SEED_TAR_BLOCK];

  if (reader->ended || !finish_member (reader, error))
    return FALSE;
  forget_said (reader);
  for (;;) {
    guint64 at = seed_byte_stream_tell (reader->stream), size;
    gboolean ok;

    if (!read_header (reader, block, error) || reader->ended)
      return FALSE;
    if (!parse_number (block + SIZE, SIZE_SIZE, &size))
      return fail (reader, at, error, "the size in this header is not a number below 2^62");
    switch (block[TYPE]) {
    case 'L':
      ok = read_long_name (reader, size, reader->said.name, &reader->said.has_name, error);
      break;
    case 'K':
      ok = read_long_name (reader, size, reader->said.target, &reader->said.has_target, error);
      break;
    case 'x':
    case 'X':
    case 'g':
      ok = read_pax (reader, size, block[TYPE] == 'g', error);
      break;
    default:
      return give_member (reader, block, size, member, error);
    }
    if (!ok)
      return FALSE;
  }
}

gssize
seed_tar_reader_read (SeedTarReader *reader, void *data, gsize size, GError **error)
{
  gsize wanted = (gsize) MIN (size, reader->left);
  gssize n = seed_byte_stream_read (reader->stream, data, wanted, error);

  if (n < 0) {
    cannot_read (reader, error);
    return -1;
  }
  reader->left -= (guint64) n;
  return n;
}
