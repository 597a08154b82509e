/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <seed/error.h>

#include "keys/key-file.h"

/* One line at a time. Columns and lines count from 1. */
typedef struct {
  const char *label;
  guint line;
  const char *start, *end; /* of the line */
  char section[16];
} Reader;

typedef struct {
  const char *text;
  gsize length;
} Span;

void
seed_key_file_clear (SeedKeyFile *file)
{
  g_free (file->name);
  g_strfreev (file->results);
  g_strfreev (file->control);
  explicit_bzero (file, sizeof *file);
}

G_GNUC_PRINTF (5, 6)
static gboolean
fail (const Reader *reader, const char *at, int code, GError **error, const char *format, ...)
{
  g_autofree char *text = NULL;
  va_list args;

  va_start (args, format);
  text = g_strdup_vprintf (format, args);
  va_end (args);
  g_set_error (error, SEED_ERROR, code, "%s:%u:%u: %s", reader->label, reader->line,
      (guint) (at - reader->start) + 1, text);
  return FALSE;
}

static gboolean
is_z85 (const char *text, gsize length)
{
  static const char alphabet[] =
      "0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ.-:+=^!/*?&<>()[]{}@%$#";

  for (gsize i = 0; i < length; i++) {
    if (text[i] == '\0' || !strchr (alphabet, text[i]))
      return FALSE;
  }
  return length == SEED_CURVE_KEY_LENGTH;
}

static gboolean
is_one_line (const char *text, gsize length)
{
  for (gsize i = 0; i < length; i++) {
    if ((guchar) text[i] < 0x20 || text[i] == 0x7f)
      return FALSE;
  }
  return g_utf8_validate_len (text, length, NULL);
}

static const char *
skip_blanks (const char *p, const char *end)
{
  while (p < end && (*p == ' ' || *p == '\t'))
    p++;
  return p;
}

static gboolean
is_end (const char *p, const char *end)
{
  p = skip_blanks (p, end);
  return p == end || *p == '#';
}

static Span
read_name (const char *p, const char *end)
{
  const char *start = p;

  while (p < end && (g_ascii_isalnum (*p) || strchr ("$-_@.&+/", *p)) && *p)
    p++;
  return (Span){ start, (gsize) (p - start) };
}

/* Quoted, or up to the end or a comment. */
static gboolean
read_value (const Reader *reader, const char *p, Span *value, GError **error)
{
  const char *close;

  if (p < reader->end && (*p == '"' || *p == '\'')) {
    close = memchr (p + 1, *p, (gsize) (reader->end - p - 1));
    if (!close)
      return fail (reader, p, SEED_ERROR_FORMAT, error, "the quote is not closed");
    if (!is_end (close + 1, reader->end))
      return fail (
          reader, close + 1, SEED_ERROR_FORMAT, error, "nothing may follow the closing quote");
    *value = (Span){ p + 1, (gsize) (close - p - 1) };
  } else {
    const char *stop = p;

    while (stop < reader->end && *stop != '#')
      stop++;
    while (stop > p && (stop[-1] == ' ' || stop[-1] == '\t'))
      stop--;
    *value = (Span){ p, (gsize) (stop - p) };
  }
  if (!is_one_line (value->text, value->length))
    return fail (reader, p, SEED_ERROR_FORMAT, error,
        "the value has control characters or is "
        "not UTF-8");
  return TRUE;
}

static gboolean
is_named (Span name, const char *text)
{
  return name.length == strlen (text) && memcmp (name.text, text, name.length) == 0;
}

static gboolean
set_key (const Reader *reader, Span value, char *key, GError **error)
{
  if (*key)
    return fail (reader, value.text, SEED_ERROR_FORMAT, error, "the key is there twice");
  if (!is_z85 (value.text, value.length))
    return fail (reader, value.text, SEED_ERROR_FORMAT, error,
        "a key has %d characters of Z85 (RFC 32)", SEED_CURVE_KEY_LENGTH);
  memcpy (key, value.text, value.length);
  return TRUE;
}

char **
seed_key_file_split (const char *list)
{
  g_auto (GStrv) items = g_strsplit (list ? list : "", ",", -1);
  g_autoptr (GPtrArray) kept = g_ptr_array_new ();

  for (guint i = 0; items[i]; i++) {
    if (*g_strstrip (items[i]))
      g_ptr_array_add (kept, g_strdup (items[i]));
  }
  if (kept->len == 0)
    return NULL;
  g_ptr_array_add (kept, NULL);
  return (char **) g_ptr_array_steal (kept, NULL);
}

static gboolean
set_list (const Reader *reader, Span value, char ***list, GError **error)
{
  g_autofree char *text = g_strndup (value.text, value.length);
  g_auto (GStrv) items = seed_key_file_split (text);

  if (*list)
    return fail (reader, value.text, SEED_ERROR_FORMAT, error, "the list is there twice");
  for (guint i = 0; items && items[i]; i++) {
    if (i >= SEED_KEY_FILE_MAX_RIGHTS)
      return fail (reader, value.text, SEED_ERROR_LIMIT, error, "a list has at most %u items",
          SEED_KEY_FILE_MAX_RIGHTS);
    if (strlen (items[i]) > SEED_KEY_FILE_MAX_RIGHT)
      return fail (reader, value.text, SEED_ERROR_LIMIT, error,
          "an item has at most %u bytes, number %u has more", SEED_KEY_FILE_MAX_RIGHT, i + 1);
  }
  *list = g_steal_pointer (&items);
  return TRUE;
}

static gboolean
set_name (const Reader *reader, Span value, SeedKeyFile *file, GError **error)
{
  if (file->name)
    return fail (reader, value.text, SEED_ERROR_FORMAT, error, "the name is there twice");
  if (value.length > SEED_KEY_FILE_MAX_NAME)
    return fail (reader, value.text, SEED_ERROR_LIMIT, error, "a name has at most %u bytes",
        SEED_KEY_FILE_MAX_NAME);
  file->name = g_strndup (value.text, value.length);
  return TRUE;
}

static gboolean
set_value (const Reader *reader, Span name, Span value, SeedKeyFile *file, GError **error)
{
  if (strcmp (reader->section, "metadata") == 0)
    return is_named (name, "name") ? set_name (reader, value, file, error) : TRUE;
  if (strcmp (reader->section, "curve") == 0) {
    if (is_named (name, "public-key"))
      return set_key (reader, value, file->public_key, error);
    if (is_named (name, "secret-key"))
      return set_key (reader, value, file->secret_key, error);
    return fail (reader, name.text, SEED_ERROR_FORMAT, error,
        "the section curve has public-key and secret-key alone");
  }
  if (is_named (name, "results"))
    return set_list (reader, value, &file->results, error);
  if (is_named (name, "control"))
    return set_list (reader, value, &file->control, error);
  return fail (reader, name.text, SEED_ERROR_FORMAT, error,
      "the section rights has results and control alone");
}

static gboolean
begin_section (Reader *reader, Span name, GError **error)
{
  static const char *const known[] = { "metadata", "curve", "rights" };

  for (guint i = 0; i < G_N_ELEMENTS (known); i++) {
    if (is_named (name, known[i]) && is_end (name.text + name.length, reader->end)) {
      g_strlcpy (reader->section, known[i], sizeof reader->section);
      return TRUE;
    }
  }
  return fail (reader, reader->start, SEED_ERROR_FORMAT, error,
      "expected one of the sections metadata, curve, rights");
}

static gboolean
read_line (Reader *reader, SeedKeyFile *file, GError **error)
{
  const char *p = skip_blanks (reader->start, reader->end);
  Span name, value = { NULL, 0 };

  if (is_end (p, reader->end))
    return TRUE;
  name = read_name (p, reader->end);
  if (p == reader->start)
    return begin_section (reader, name, error);
  if (!*reader->section)
    return fail (reader, p, SEED_ERROR_FORMAT, error, "a value stands before any section");
  p = skip_blanks (name.text + name.length, reader->end);
  if (name.length == 0 || p == reader->end || *p != '=')
    return fail (reader, p, SEED_ERROR_FORMAT, error, "expected NAME = VALUE");
  return read_value (reader, skip_blanks (p + 1, reader->end), &value, error) &&
         set_value (reader, name, value, file, error);
}

gboolean
seed_key_file_parse (
    const char *label, const char *text, gsize length, SeedKeyFile *file, GError **error)
{
  g_auto (SeedKeyFile) parsed = SEED_KEY_FILE_INIT;
  Reader reader = { .label = label, .start = text };
  const char *end = text + length;

  if (length > SEED_KEY_FILE_MAX_SIZE) {
    g_set_error (error, SEED_ERROR, SEED_ERROR_LIMIT, "%s: a key file has at most %u bytes", label,
        SEED_KEY_FILE_MAX_SIZE);
    return FALSE;
  }
  while (reader.start < end) {
    const char *newline = memchr (reader.start, '\n', (gsize) (end - reader.start));

    reader.line++;
    reader.end = newline ? newline : end;
    if (reader.end > reader.start && reader.end[-1] == '\r')
      reader.end--;
    if (!read_line (&reader, &parsed, error))
      return FALSE;
    reader.start = newline ? newline + 1 : end;
  }
  if (!*parsed.public_key) {
    g_set_error (error, SEED_ERROR, SEED_ERROR_FORMAT,
        "%s: there is no public-key in a section curve", label);
    return FALSE;
  }
  *file = parsed;
  parsed = (SeedKeyFile) SEED_KEY_FILE_INIT;
  return TRUE;
}

/* Writing */

static void
append_value (GString *out, const char *key, const char *value)
{
  char quote = strchr (value, '"') ? '\'' : '"';

  g_string_append_printf (out, "    %s = %c%s%c\n", key, quote, value, quote);
}

static void
append_list (GString *out, const char *key, char **items)
{
  g_autofree char *list = items ? g_strjoinv (", ", items) : NULL;

  if (list)
    append_value (out, key, list);
}

char *
seed_key_file_format (const SeedKeyFile *file, GError **error)
{
  g_auto (SeedKeyFile) again = SEED_KEY_FILE_INIT;
  /* one block, so that no copy of the secret is left behind by growing */
  GString *out = g_string_sized_new (SEED_KEY_FILE_MAX_SIZE);
  g_autoptr (GError) cause = NULL;

  if (file->name) {
    g_string_append (out, "metadata\n");
    append_value (out, "name", file->name);
  }
  g_string_append (out, "curve\n");
  append_value (out, "public-key", file->public_key);
  if (*file->secret_key)
    append_value (out, "secret-key", file->secret_key);
  if (file->results || file->control) {
    g_string_append (out, "rights\n");
    append_list (out, "results", file->results);
    append_list (out, "control", file->control);
  }
  if (seed_key_file_parse ("key", out->str, out->len, &again, &cause))
    return g_string_free (out, FALSE);
  explicit_bzero (out->str, out->len);
  g_string_free (out, TRUE);
  g_set_error (error, SEED_ERROR, SEED_ERROR_INVALID, "this cannot be written to a key file: %s",
      cause->message);
  return NULL;
}

/* Files */

static gboolean
check_status (const char *path, const struct stat *status, GError **error)
{
  if (!S_ISREG (status->st_mode)) {
    g_set_error (error, SEED_ERROR, SEED_ERROR_INVALID, "%s: is no regular file", path);
    return FALSE;
  }
  if (status->st_mode & 0077) {
    g_set_error (error, SEED_ERROR, SEED_ERROR_INVALID,
        "%s: the mode %04o lets others than the owner at the key: chmod 600 %s", path,
        (guint) status->st_mode & 07777, path);
    return FALSE;
  }
  if (status->st_size > (off_t) SEED_KEY_FILE_MAX_SIZE) {
    g_set_error (error, SEED_ERROR, SEED_ERROR_LIMIT, "%s: a key file has at most %u bytes", path,
        SEED_KEY_FILE_MAX_SIZE);
    return FALSE;
  }
  return TRUE;
}

static gssize
read_all (int fd, char *buffer, gsize size)
{
  gsize n = 0;

  while (n < size) {
    gssize got = read (fd, buffer + n, size - n);

    if (got < 0 && errno == EINTR)
      continue;
    if (got < 0)
      return -1;
    if (got == 0)
      break;
    n += (gsize) got;
  }
  return (gssize) n;
}

gboolean
seed_key_file_load (const char *path, SeedKeyFile *file, GError **error)
{
  /* O_NONBLOCK: a FIFO must not hold us up before it is refused */
  int fd = open (path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
  g_autofree char *text = NULL;
  struct stat status;
  gboolean ok = FALSE;
  gssize length;

  if (fd < 0) {
    g_set_error (error, SEED_ERROR, errno == ENOENT ? SEED_ERROR_NOT_FOUND : SEED_ERROR_IO,
        "%s: cannot be opened: %s", path, g_strerror (errno));
    return FALSE;
  }
  if (fstat (fd, &status) == 0 && check_status (path, &status, error)) {
    text = g_malloc (SEED_KEY_FILE_MAX_SIZE + 1);
    length = read_all (fd, text, SEED_KEY_FILE_MAX_SIZE + 1);
    if (length < 0)
      g_set_error (
          error, SEED_ERROR, SEED_ERROR_IO, "%s: cannot be read: %s", path, g_strerror (errno));
    else
      ok = seed_key_file_parse (path, text, (gsize) length, file, error);
    explicit_bzero (text, SEED_KEY_FILE_MAX_SIZE + 1);
  } else if (error && !*error) {
    g_set_error (error, SEED_ERROR, SEED_ERROR_IO, "%s: %s", path, g_strerror (errno));
  }
  close (fd);
  return ok;
}
