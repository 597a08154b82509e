/* SPDX-License-Identifier: MIT */
#include <string.h>

#include <gio/gio.h>
#include <seed/error.h>

#include "source/tar.h"

#include "fuzz.h"

#define MAX_UNPACKED (16 * 1024 * 1024) /* a bomb is not what is looked for here */

/* A name that is accepted leads nowhere else. */
static void
check_name (const char *name)
{
  g_autofree char *clean = seed_tar_clean_name (name);
  g_auto (GStrv) parts = NULL;

  if (!clean)
    return;
  g_assert_false (g_path_is_absolute (clean));
  parts = g_strsplit (clean, "/", -1);
  for (guint i = 0; parts[i]; i++) {
    g_assert_cmpstr (parts[i], !=, "");
    g_assert_cmpstr (parts[i], !=, ".");
    g_assert_cmpstr (parts[i], !=, "..");
  }
}

/* Reads half of the members' data, skips the rest. */
static void
read_archive (GInputStream *input, gboolean gzip)
{
  g_autoptr (SeedByteStream) stream = seed_byte_stream_new (input, gzip);
  g_autoptr (SeedTarReader) reader = seed_tar_reader_new (stream);
  g_autoptr (GError) error = NULL;
  SeedTarMember member;
  guint64 before = 0;

  for (guint i = 0; seed_tar_reader_next (reader, &member, &error); i++) {
    guint8 data[700];
    gssize n = 1;

    g_assert_cmpuint (member.offset, >, before);
    g_assert_cmpuint (member.size, <, G_GUINT64_CONSTANT (1) << 62);
    g_assert_cmpuint (strlen (member.name), <=, SEED_TAR_MAX_EXTENSION);
    before = member.offset;
    check_name (member.name);
    check_name (member.target);
    while (i % 2 == 0 && n > 0)
      n = seed_tar_reader_read (reader, data, sizeof data, NULL);
    if (seed_byte_stream_tell (stream) > MAX_UNPACKED)
      return;
  }
  g_assert_true (!error || error->domain == SEED_ERROR);
  g_assert_false (seed_tar_reader_next (reader, &member, NULL));
}

/* The bytes of a tar file, or of one in gzip. */
int
LLVMFuzzerTestOneInput (const uint8_t *data, size_t size)
{
  g_autoptr (GInputStream) input = g_memory_input_stream_new_from_data (data, (gssize) size, NULL);

  read_archive (input, seed_bytes_are_gzip (data, size));
  return 0;
}
