/* SPDX-License-Identifier: MIT */
#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include <glib/gstdio.h>

#include <seed/error.h>
#include <seed/safetensors.h>

#include "nn/safetensors-file.h"

/* A file of @header and @n_data bytes of data. */
static GBytes *
make_file (const char *header, gsize n_data)
{
  GByteArray *file = g_byte_array_new ();
  guint64 length = GUINT64_TO_LE ((guint64) strlen (header));

  g_byte_array_append (file, (const guint8 *) &length, sizeof length);
  g_byte_array_append (file, (const guint8 *) header, (guint) strlen (header));
  for (gsize i = 0; i < n_data; i++) {
    guint8 byte = (guint8) i;
    g_byte_array_append (file, &byte, 1);
  }
  return g_byte_array_free_to_bytes (file);
}

#define T(dtype, shape, ...)                                                                       \
  "{\"dtype\":\"" dtype "\",\"shape\":" shape ",\"data_offsets\":[" #__VA_ARGS__ "]}"

static const struct {
  const char *name;
  const char *header;
  gsize n_data;
  int code; /* -1: accepted */
  const char *message;
} headers[] = {
  { "empty", "{}", 0, -1, NULL },
  { "padded", "{}      ", 0, -1, NULL },
  { "one", "{\"a\":" T ("F32", "[2]", 0, 8) "}", 8, -1, NULL },
  { "scalar", "{\"a\":" T ("F32", "[]", 0, 4) "}", 4, -1, NULL },
  { "no-elements", "{\"a\":" T ("F32", "[0,3]", 0, 0) "}", 0, -1, NULL },
  { "unaligned", "{\"a\":" T ("U8", "[1]", 0, 1) ",\"b\":" T ("F32", "[1]", 1, 5) "}", 5, -1,
      NULL },
  { "out-of-order", "{\"b\":" T ("U8", "[1]", 1, 2) ",\"a\":" T ("U8", "[1]", 0, 1) "}", 2, -1,
      NULL },
  { "metadata", "{\"__metadata__\":{\"format\":\"pt\"},\"a\":" T ("U8", "[1]", 0, 1) "}", 1, -1,
      NULL },

  { "no-object", "[]", 0, SEED_ERROR_FORMAT, "F: byte 8: the header does not begin with '{'" },
  { "leading-space", " {}", 0, SEED_ERROR_FORMAT, "F: byte 8: the header does not begin" },
  { "empty-header", "", 0, SEED_ERROR_FORMAT, "F: byte 8: expected an object" },
  { "unclosed", "{\"a\":", 0, SEED_ERROR_FORMAT, "tensor \"a\": expected an object" },
  { "after-the-end", "{}{", 0, SEED_ERROR_FORMAT, "F: byte 10: expected the end of the text" },
  { "not-utf8", "{\"\xff\":1}", 0, SEED_ERROR_FORMAT, "F: byte 10: this is not UTF-8" },
  { "nul-in-name", "{\"a\\u0000b\":" T ("U8", "[1]", 0, 1) "}", 1, SEED_ERROR_FORMAT,
      "F: byte 11: NUL in a string" },
  { "double-name", "{\"a\":" T ("U8", "[1]", 0, 1) ",\"a\":" T ("U8", "[1]", 1, 2) "}", 2,
      SEED_ERROR_FORMAT, "tensor \"a\": a second tensor of this name" },
  { "double-name-escaped",
      "{\"a\":" T ("U8", "[1]", 0, 1) ",\"\\u0061\":" T ("U8", "[1]", 1, 2) "}", 2,
      SEED_ERROR_FORMAT, "tensor \"a\": a second tensor of this name" },
  { "double-key",
      "{\"a\":{\"dtype\":\"U8\",\"dtype\":\"I8\",\"shape\":[1],\"data_offsets\":[0,1]}}", 1,
      SEED_ERROR_FORMAT, "tensor \"a\": a second \"dtype\"" },
  { "unknown-key", "{\"a\":{\"dtype\":\"U8\",\"stride\":[1]}}", 1, SEED_ERROR_FORMAT,
      "tensor \"a\": unknown key \"stride\"" },
  { "no-dtype", "{\"a\":{\"shape\":[1],\"data_offsets\":[0,1]}}", 1, SEED_ERROR_FORMAT,
      "tensor \"a\": has no dtype" },
  { "no-shape", "{\"a\":{\"dtype\":\"U8\",\"data_offsets\":[0,1]}}", 1, SEED_ERROR_FORMAT,
      "tensor \"a\": has no shape" },
  { "no-offsets", "{\"a\":{\"dtype\":\"U8\",\"shape\":[1]}}", 1, SEED_ERROR_FORMAT,
      "tensor \"a\": has no data_offsets" },
  { "unknown-dtype", "{\"a\":" T ("F8_E4M3", "[1]", 0, 1) "}", 1, SEED_ERROR_UNSUPPORTED,
      "tensor \"a\": unknown dtype \"F8_E4M3\"" },
  { "dtype-number", "{\"a\":{\"dtype\":1}}", 1, SEED_ERROR_FORMAT,
      "F: byte 22: tensor \"a\": expected a string, found '1'" },
  { "tensor-number", "{\"a\":1}", 1, SEED_ERROR_FORMAT,
      "F: byte 13: tensor \"a\": expected an object" },
  { "shape-negative", "{\"a\":" T ("U8", "[-1]", 0, 1) "}", 1, SEED_ERROR_FORMAT,
      "tensor \"a\": expected a whole number, not negative" },
  { "shape-fraction", "{\"a\":" T ("U8", "[1.0]", 0, 1) "}", 1, SEED_ERROR_FORMAT,
      "tensor \"a\": expected a whole number" },
  { "shape-beyond-2-53", "{\"a\":" T ("U8", "[0,9007199254740993]", 0, 0) "}", 0, SEED_ERROR_LIMIT,
      "tensor \"a\": 9007199254740993 is more than 9007199254740992" },
  { "shape-overflow", "{\"a\":" T ("F32", "[4294967296,4294967296]", 0, 0) "}", 0,
      SEED_ERROR_FORMAT, "tensor \"a\": the size of F32 [4294967296, 4294967296] overflows" },
  { "shape-too-large", "{\"a\":" T ("F32", "[3]", 0, 8) "}", 8, SEED_ERROR_FORMAT,
      "tensor \"a\": F32 [3] takes 12 bytes, its data_offsets [0, 8] hold 8" },
  { "shape-too-small", "{\"a\":" T ("F32", "[1]", 0, 8) "}", 8, SEED_ERROR_FORMAT,
      "tensor \"a\": F32 [1] takes 4 bytes" },
  { "shape-nine-dims", "{\"a\":" T ("U8", "[1,1,1,1,1,1,1,1,1]", 0, 1) "}", 1, SEED_ERROR_LIMIT,
      "tensor \"a\": more than 8 dimensions" },
  { "offsets-beyond", "{\"a\":" T ("U8", "[2]", 0, 2) "}", 1, SEED_ERROR_FORMAT,
      "tensor \"a\": data_offsets [0, 2] do not lie within the 1 bytes of data" },
  { "offsets-reversed", "{\"a\":" T ("U8", "[1]", 1, 0) "}", 1, SEED_ERROR_FORMAT,
      "tensor \"a\": data_offsets [1, 0] do not lie" },
  { "offsets-huge", "{\"a\":" T ("U8", "[1]", 18446744073709551615, 0) "}", 1, SEED_ERROR_LIMIT,
      "tensor \"a\": 18446744073709551615 is more than" },
  { "offsets-three", "{\"a\":" T ("U8", "[1]", 0, 1, 2) "}", 1, SEED_ERROR_FORMAT,
      "tensor \"a\": data_offsets has 3 numbers" },
  { "offsets-one", "{\"a\":{\"data_offsets\":[1]}}", 1, SEED_ERROR_FORMAT,
      "F: byte 29: tensor \"a\": data_offsets has 1 numbers" },
  { "overlap", "{\"a\":" T ("U8", "[2]", 0, 2) ",\"b\":" T ("U8", "[2]", 1, 3) "}", 3,
      SEED_ERROR_FORMAT, "tensor \"b\": shares with another tensor bytes 1 to 2" },
  { "same-bytes", "{\"a\":" T ("U8", "[2]", 0, 2) ",\"b\":" T ("U8", "[2]", 0, 2) "}", 2,
      SEED_ERROR_FORMAT, "tensor \"b\": shares with another tensor bytes 0 to 2" },
  { "hole-before", "{\"a\":" T ("U8", "[1]", 1, 2) "}", 2, SEED_ERROR_FORMAT,
      "tensor \"a\": leaves before it a hole: bytes 0 to 1" },
  { "hole-between", "{\"a\":" T ("U8", "[1]", 0, 1) ",\"b\":" T ("U8", "[1]", 2, 3) "}", 3,
      SEED_ERROR_FORMAT, "tensor \"b\": leaves before it a hole: bytes 1 to 2" },
  { "trailing-bytes", "{\"a\":" T ("U8", "[1]", 0, 1) "}", 3, SEED_ERROR_FORMAT,
      "no tensor holds the last 2 bytes of the file" },
  { "metadata-number", "{\"__metadata__\":{\"a\":1}}", 0, SEED_ERROR_FORMAT, "expected a string" },
  { "metadata-double", "{\"__metadata__\":{\"a\":\"\",\"a\":\"\"}}", 0, SEED_ERROR_FORMAT,
      "a second \"a\" in __metadata__" },
  { "two-metadata", "{\"__metadata__\":{},\"__metadata__\":{}}", 0, SEED_ERROR_FORMAT,
      "a second __metadata__" },
  { "depth-bomb", "{\"__metadata__\":[[[[[[[[[[[[[[[[[[[[[[", 0, SEED_ERROR_FORMAT,
      "expected an object" },
};

static void
test_header (gconstpointer data)
{
  guint i = GPOINTER_TO_UINT (data);
  g_autoptr (GBytes) file = make_file (headers[i].header, headers[i].n_data);
  g_autoptr (GError) error = NULL;
  g_autoptr (SeedSafetensors) st = seed_safetensors_parse (file, "F", &error);

  if (headers[i].code < 0) {
    g_assert_no_error (error);
    g_assert_nonnull (st);
    return;
  }
  g_assert_null (st);
  g_assert_error (error, SEED_ERROR, headers[i].code);
  g_assert_true (g_str_has_prefix (error->message, "F: byte "));
  if (!strstr (error->message, headers[i].message))
    g_error ("%s: has no: %s", error->message, headers[i].message);
}

static void
assert_lengths_refused (guint64 length, gsize n_data, int code)
{
  g_autoptr (GByteArray) file = g_byte_array_new ();
  g_autoptr (GBytes) bytes = NULL;
  g_autoptr (GError) error = NULL;

  length = GUINT64_TO_LE (length);
  g_byte_array_append (file, (const guint8 *) &length, sizeof length);
  g_byte_array_set_size (file, (guint) (8 + n_data));
  memset (file->data + 8, ' ', n_data);
  bytes = g_bytes_new (file->data, file->len);
  g_assert_null (seed_safetensors_parse (bytes, "F", &error));
  g_assert_error (error, SEED_ERROR, code);
}

static void
test_header_length (void)
{
  assert_lengths_refused (G_MAXUINT64, 10, SEED_ERROR_FORMAT);
  assert_lengths_refused (G_MAXUINT64 - 8, 10, SEED_ERROR_FORMAT);
  assert_lengths_refused (11, 10, SEED_ERROR_FORMAT);
  assert_lengths_refused (0, 0, SEED_ERROR_FORMAT);
}

/* A sparse file makes the limit cheap to test. */
static void
test_header_limit (void)
{
  g_autofree char *path = NULL;
  g_autoptr (GError) error = NULL;
  guint64 length = GUINT64_TO_LE ((guint64) SEED_SAFETENSORS_MAX_HEADER + 1);
  int fd = g_file_open_tmp ("seed-XXXXXX", &path, NULL);

  g_assert_cmpint (write (fd, &length, sizeof length), ==, sizeof length);
  g_assert_cmpint (ftruncate (fd, (off_t) SEED_SAFETENSORS_MAX_HEADER + 100), ==, 0);
  close (fd);
  g_assert_null (seed_safetensors_open (path, &error));
  g_assert_error (error, SEED_ERROR, SEED_ERROR_LIMIT);
  g_unlink (path);
}

/* Every prefix of a good file is refused; none crashes. */
static void
test_every_truncation (void)
{
  g_autoptr (GBytes) file =
      make_file ("{\"a\":" T ("U8", "[1]", 0, 1) ",\"b\":" T ("F32", "[1]", 1, 5) "}", 5);

  for (gsize length = 0; length < g_bytes_get_size (file); length++) {
    /* an exact heap block, so that a read past it is seen */
    g_autoptr (GBytes) cut = g_bytes_new (g_bytes_get_data (file, NULL), length);
    g_autoptr (GError) error = NULL;

    g_assert_null (seed_safetensors_parse (cut, "F", &error));
    g_assert_error (error, SEED_ERROR, SEED_ERROR_FORMAT);
  }
}

static void
test_too_many_tensors (void)
{
  g_autoptr (GString) header = g_string_new ("{");
  g_autoptr (GBytes) file = NULL;
  g_autoptr (GError) error = NULL;

  for (guint i = 0; i <= SEED_SAFETENSORS_MAX_TENSORS; i++)
    g_string_append_printf (header, "%s\"%u\":" T ("U8", "[0]", 0, 0), i ? "," : "", i);
  g_string_append_c (header, '}');
  file = make_file (header->str, 0);
  g_assert_null (seed_safetensors_parse (file, "F", &error));
  g_assert_error (error, SEED_ERROR, SEED_ERROR_LIMIT);
}

static void
test_name_limit (void)
{
  g_autofree char *name = g_strnfill (SEED_SAFETENSORS_MAX_NAME + 1, 'n');
  g_autofree char *header = g_strdup_printf ("{\"%s\":" T ("U8", "[0]", 0, 0) "}", name);
  g_autofree char *fits = g_strdup_printf ("{\"%s\":" T ("U8", "[0]", 0, 0) "}", name + 1);
  g_autoptr (GBytes) bad = make_file (header, 0);
  g_autoptr (GBytes) good = make_file (fits, 0);
  g_autoptr (SeedSafetensors) st = NULL;
  g_autoptr (GError) error = NULL;

  g_assert_null (seed_safetensors_parse (bad, "F", &error));
  g_assert_error (error, SEED_ERROR, SEED_ERROR_LIMIT);
  g_clear_error (&error);
  st = seed_safetensors_parse (good, "F", &error);
  g_assert_no_error (error);
  g_assert_nonnull (seed_safetensors_lookup (st, name + 1));
}

static void
test_contents (void)
{
  g_autoptr (GBytes) file =
      make_file ("{\"b\":" T ("I16", "[1,2]", 1, 5) ",\"__metadata__\":{\"k\":\"v\"},"
                                                    "\"a\":" T ("U8", "[1]", 0, 1) "}",
          5);
  g_autoptr (GError) error = NULL;
  g_autoptr (SeedSafetensors) st = seed_safetensors_parse (file, "F", &error);
  const SeedTensor *b;

  g_assert_no_error (error);
  g_assert_cmpuint (seed_safetensors_n_tensors (st), ==, 2);
  g_assert_cmpstr (seed_safetensors_get (st, 0)->name, ==, "a");
  b = seed_safetensors_lookup (st, "b");
  g_assert_true (b == seed_safetensors_get (st, 1));
  g_assert_cmpuint (b->dtype, ==, SEED_DTYPE_I16);
  g_assert_cmpuint (b->n_dims, ==, 2);
  g_assert_cmpuint (b->shape[1], ==, 2);
  g_assert_cmpmem (b->data, b->size, "\1\2\3\4", 4);
  g_assert_null (seed_safetensors_lookup (st, "c"));
  g_assert_null (seed_safetensors_lookup (st, "__metadata__"));
  g_assert_cmpstr (seed_safetensors_metadata (st, "k"), ==, "v");
  g_assert_null (seed_safetensors_metadata (st, "a"));
}

/* Files */

typedef struct {
  char *folder, *path;
} Fixture;

static void
set_up (Fixture *fixture, gconstpointer unused)
{
  fixture->folder = g_dir_make_tmp ("seed-XXXXXX", NULL);
  fixture->path = g_build_filename (fixture->folder, "a.safetensors", NULL);
}

static guint
count_files (const char *folder)
{
  g_autoptr (GDir) dir = g_dir_open (folder, 0, NULL);
  guint n = 0;

  while (g_dir_read_name (dir))
    n++;
  return n;
}

static void
tear_down (Fixture *fixture, gconstpointer unused)
{
  g_unlink (fixture->path);
  g_assert_cmpint (g_rmdir (fixture->folder), ==, 0); /* and no temporary file is left */
  g_free (fixture->path);
  g_free (fixture->folder);
}

static const guint8 some_bytes[] = { 1, 2, 3 };
static const double some_doubles[] = { 1.5, -2.5 };
static const float some_floats[] = { 0.25f };
static const SeedTensor some_tensors[] = {
  { "bytes", SEED_DTYPE_U8, 1, { 3 }, some_bytes, 3 },
  { "z", SEED_DTYPE_F32, 2, { 1, 1 }, some_floats, 4 },
  { "nothing", SEED_DTYPE_F32, 2, { 0, 5 }, NULL, 0 },
  { "quo\"te\n\xc3\xa9", SEED_DTYPE_F64, 1, { 2 }, some_doubles, 16 },
};

static void
test_round_trip (Fixture *fixture, gconstpointer unused)
{
  g_autoptr (GHashTable) metadata = g_hash_table_new (g_str_hash, g_str_equal);
  g_autoptr (SeedSafetensors) st = NULL;
  g_autoptr (GError) error = NULL;
  g_autofree char *sha256 = NULL, *contents = NULL;
  gsize length;

  g_hash_table_insert (metadata, (char *) "format", (char *) "pt");
  g_hash_table_insert (metadata, (char *) "a\\b", (char *) "c\td");
  seed_safetensors_write (
      fixture->path, some_tensors, G_N_ELEMENTS (some_tensors), metadata, &error);
  g_assert_no_error (error);
  st = seed_safetensors_open (fixture->path, &error);
  g_assert_no_error (error);

  g_assert_cmpuint (seed_safetensors_n_tensors (st), ==, G_N_ELEMENTS (some_tensors));
  for (guint i = 0; i < G_N_ELEMENTS (some_tensors); i++) {
    const SeedTensor *wrote = &some_tensors[i], *read = seed_safetensors_lookup (st, wrote->name);

    g_assert_nonnull (read);
    g_assert_cmpuint (read->dtype, ==, wrote->dtype);
    g_assert_cmpmem (read->shape, read->n_dims * 8, wrote->shape, wrote->n_dims * 8);
    g_assert_cmpmem (read->data, read->size, wrote->data, wrote->size);
    g_assert_cmpuint ((gsize) read->data % seed_dtype_size (read->dtype), ==, 0);
  }
  g_assert_cmpstr (seed_safetensors_metadata (st, "a\\b"), ==, "c\td");

  g_assert_true (g_file_get_contents (fixture->path, &contents, &length, NULL));
  sha256 = g_compute_checksum_for_data (G_CHECKSUM_SHA256, (const guchar *) contents, length);
  {
    g_autofree char *of_reader = seed_safetensors_sha256 (st);
    g_assert_cmpstr (of_reader, ==, sha256);
  }
}

/* The bytes that the reference implementation writes for the same tensors. */
static void
test_canonical_bytes (Fixture *fixture, gconstpointer unused)
{
  static const char expected[] =
      "\xb0\0\0\0\0\0\0\0"
      "{\"d\":{\"dtype\":\"F64\",\"shape\":[2],\"data_offsets\":[0,16]},"
      "\"z\":{\"dtype\":\"F32\",\"shape\":[1,1],\"data_offsets\":[16,20]},"
      "\"bytes\":{\"dtype\":\"U8\",\"shape\":[3],\"data_offsets\":[20,23]}}"
      "      "
      "\0\0\0\0\0\0\xf8\x3f\0\0\0\0\0\0\x04\xc0\0\0\x80\x3e\1\2\3";
  SeedTensor tensors[] = { some_tensors[0], some_tensors[1], some_tensors[3] };
  g_autofree char *contents = NULL;
  g_autoptr (GError) error = NULL;
  gsize length;

  tensors[2].name = "d";
  g_assert_true (seed_safetensors_write (fixture->path, tensors, 3, NULL, &error));
  g_assert_true (g_file_get_contents (fixture->path, &contents, &length, NULL));
  g_assert_cmpmem (contents, length, expected, sizeof expected - 1);
}

static void
test_write_refuses (Fixture *fixture, gconstpointer unused)
{
  static const SeedTensor cases[][2] = {
    { { "a", SEED_DTYPE_U8, 1, { 3 }, some_bytes, 3 },
        { "a", SEED_DTYPE_U8, 1, { 3 }, some_bytes, 3 } },
    { { "a", SEED_DTYPE_U8, 1, { 3 }, some_bytes, 3 },
        { "b", SEED_DTYPE_U8, 1, { 2 }, some_bytes, 3 } },
    { { "a", SEED_DTYPE_U8, 1, { 3 }, some_bytes, 3 },
        { "\xff", SEED_DTYPE_U8, 1, { 3 }, some_bytes, 3 } },
    { { "a", SEED_DTYPE_U8, 1, { 3 }, some_bytes, 3 },
        { "__metadata__", SEED_DTYPE_U8, 1, { 3 }, some_bytes, 3 } },
  };

  for (guint i = 0; i < G_N_ELEMENTS (cases); i++) {
    g_autoptr (GError) error = NULL;

    g_assert_false (seed_safetensors_write (fixture->path, cases[i], 2, NULL, &error));
    g_assert_error (error, SEED_ERROR, SEED_ERROR_INVALID);
    g_assert_cmpuint (count_files (fixture->folder), ==, 0);
  }
}

static void
assert_old_file (Fixture *fixture)
{
  g_autofree char *contents = NULL;

  g_assert_true (g_file_get_contents (fixture->path, &contents, NULL, NULL));
  g_assert_cmpstr (contents, ==, "old");
  g_assert_cmpuint (count_files (fixture->folder), ==, 1);
}

/* A full disc, as far as a process can make one for itself. */
static void
test_disc_full (Fixture *fixture, gconstpointer unused)
{
  static const guint8 many_bytes[64 * 1024];
  const SeedTensor tensor = { "t", SEED_DTYPE_U8, 1, { sizeof many_bytes }, many_bytes,
    sizeof many_bytes };
  struct rlimit old, small;
  g_autoptr (GError) error = NULL;

  g_assert_true (g_file_set_contents (fixture->path, "old", -1, NULL));
  signal (SIGXFSZ, SIG_IGN);
  getrlimit (RLIMIT_FSIZE, &old);
  small = (struct rlimit){ 4096, old.rlim_max };
  g_assert_cmpint (setrlimit (RLIMIT_FSIZE, &small), ==, 0);
  g_assert_false (seed_safetensors_write (fixture->path, &tensor, 1, NULL, &error));
  g_assert_cmpint (setrlimit (RLIMIT_FSIZE, &old), ==, 0);
  signal (SIGXFSZ, SIG_DFL);

  g_assert_error (error, SEED_ERROR, SEED_ERROR_IO);
  g_assert_true (g_str_has_prefix (error->message, fixture->path));
  assert_old_file (fixture);
}

/* Root may write anywhere, so the refusals are a folder that is a file and one that is not there.
 */
static void
test_unwritable_folder (Fixture *fixture, gconstpointer unused)
{
  g_autofree char *missing = g_build_filename (fixture->folder, "no", "a", NULL);
  g_autofree char *below_file = g_build_filename (fixture->path, "a", NULL);
  g_autoptr (GError) error = NULL;

  g_assert_true (g_file_set_contents (fixture->path, "old", -1, NULL));
  g_assert_false (seed_safetensors_write (missing, some_tensors, 1, NULL, &error));
  g_assert_error (error, SEED_ERROR, SEED_ERROR_IO);
  g_clear_error (&error);
  g_assert_false (seed_safetensors_write (below_file, some_tensors, 1, NULL, &error));
  g_assert_error (error, SEED_ERROR, SEED_ERROR_IO);
  g_clear_error (&error);
  if (geteuid () != 0) {
    g_assert_cmpint (g_chmod (fixture->folder, 0555), ==, 0);
    g_assert_false (seed_safetensors_write (fixture->path, some_tensors, 1, NULL, &error));
    g_assert_error (error, SEED_ERROR, SEED_ERROR_IO);
    g_assert_cmpint (g_chmod (fixture->folder, 0755), ==, 0);
  }
  assert_old_file (fixture);
}

/* A rename that fails (onto a folder that is not empty) leaves no temporary file. */
static void
test_rename_fails (Fixture *fixture, gconstpointer unused)
{
  g_autofree char *inside = g_build_filename (fixture->path, "x", NULL);
  g_autoptr (GError) error = NULL;

  g_assert_cmpint (g_mkdir (fixture->path, 0755), ==, 0);
  g_assert_cmpint (g_mkdir (inside, 0755), ==, 0);
  g_assert_false (seed_safetensors_write (fixture->path, some_tensors, 1, NULL, &error));
  g_assert_error (error, SEED_ERROR, SEED_ERROR_IO);
  g_assert_cmpuint (count_files (fixture->folder), ==, 1);
  g_rmdir (inside);
  g_rmdir (fixture->path);
}

static void
test_open_refuses (Fixture *fixture, gconstpointer unused)
{
  g_autoptr (GError) error = NULL;

  g_assert_null (seed_safetensors_open (fixture->path, &error));
  g_assert_error (error, SEED_ERROR, SEED_ERROR_NOT_FOUND);
  g_assert_true (g_str_has_prefix (error->message, fixture->path));
  g_clear_error (&error);

  g_assert_null (seed_safetensors_open (fixture->folder, &error));
  g_assert_error (error, SEED_ERROR, SEED_ERROR_IO);
  g_clear_error (&error);

  g_assert_cmpint (mkfifo (fixture->path, 0600), ==, 0); /* must not wait for a writer */
  g_assert_null (seed_safetensors_open (fixture->path, &error));
  g_assert_error (error, SEED_ERROR, SEED_ERROR_IO);
  g_clear_error (&error);
  g_unlink (fixture->path);

  g_assert_true (g_file_set_contents (fixture->path, "", 0, NULL));
  g_assert_null (seed_safetensors_open (fixture->path, &error));
  g_assert_error (error, SEED_ERROR, SEED_ERROR_FORMAT);
}

static void
test_unchanged (Fixture *fixture, gconstpointer unused)
{
  g_autoptr (SeedSafetensors) st = NULL;
  g_autoptr (GError) error = NULL;
  int fd;

  g_assert_true (seed_safetensors_write (fixture->path, some_tensors, 1, NULL, &error));
  st = seed_safetensors_open (fixture->path, &error);
  g_assert_true (seed_safetensors_check_unchanged (st, &error));
  /* replaced as it should be: the reader keeps the old file */
  g_assert_true (seed_safetensors_write (fixture->path, some_tensors, 2, NULL, &error));
  g_assert_true (seed_safetensors_check_unchanged (st, &error));
  g_assert_cmpmem (seed_safetensors_get (st, 0)->data, 3, some_bytes, 3);

  seed_safetensors_unref (st);
  st = seed_safetensors_open (fixture->path, &error);
  fd = open (fixture->path, O_WRONLY | O_APPEND);
  g_assert_cmpint (write (fd, "x", 1), ==, 1);
  close (fd);
  g_assert_false (seed_safetensors_check_unchanged (st, &error));
  g_assert_error (error, SEED_ERROR, SEED_ERROR_IO);
}

int
main (int argc, char **argv)
{
  static const struct {
    const char *name;
    void (*func) (Fixture *, gconstpointer);
  } file_tests[] = {
    { "round-trip", test_round_trip },
    { "canonical-bytes", test_canonical_bytes },
    { "write-refuses", test_write_refuses },
    { "disc-full", test_disc_full },
    { "unwritable-folder", test_unwritable_folder },
    { "rename-fails", test_rename_fails },
    { "open-refuses", test_open_refuses },
    { "unchanged", test_unchanged },
  };

  g_test_init (&argc, &argv, NULL);
  for (guint i = 0; i < G_N_ELEMENTS (headers); i++) {
    g_autofree char *path = g_strconcat ("/safetensors/header/", headers[i].name, NULL);
    g_test_add_data_func (path, GUINT_TO_POINTER (i), test_header);
  }
  g_test_add_func ("/safetensors/header-length", test_header_length);
  g_test_add_func ("/safetensors/header-limit", test_header_limit);
  g_test_add_func ("/safetensors/every-truncation", test_every_truncation);
  g_test_add_func ("/safetensors/too-many-tensors", test_too_many_tensors);
  g_test_add_func ("/safetensors/name-limit", test_name_limit);
  g_test_add_func ("/safetensors/contents", test_contents);
  for (guint i = 0; i < G_N_ELEMENTS (file_tests); i++) {
    g_autofree char *path = g_strconcat ("/safetensors/file/", file_tests[i].name, NULL);
    g_test_add (path, Fixture, NULL, set_up, file_tests[i].func, tear_down);
  }
  return g_test_run ();
}
