/* SPDX-License-Identifier: MIT */
#include <string.h>

#include "keys/rights.h"

#include "fuzz.h"

/* What was understood can be written, and is then understood as the same. */
static void
check_round_trip (const SeedKeyFile *file)
{
  g_auto (SeedKeyFile) again = SEED_KEY_FILE_INIT;
  g_autoptr (GError) error = NULL;
  g_autofree char *text = seed_key_file_format (file, &error);

  if (!text) /* a value with both kinds of quotes, or a list that its white space made longer */
    return;
  seed_key_file_parse ("again", text, strlen (text), &again, &error);
  g_assert_no_error (error);
  g_assert_cmpstr (again.public_key, ==, file->public_key);
  g_assert_cmpstr (again.secret_key, ==, file->secret_key);
  g_assert_cmpstr (again.name, ==, file->name);
}

/* Whatever a key is granted of a subscription lies within both. */
static void
check_rights (SeedKeyFile *file, const char *asked, gsize size)
{
  g_autoptr (SeedRights) rights = seed_rights_new (file, "fuzz", NULL);
  g_autoptr (GPtrArray) granted = rights ? seed_rights_narrow (rights, asked, size) : NULL;

  for (guint i = 0; granted && i < granted->len; i++) {
    gsize length;
    const char *prefix = g_bytes_get_data (granted->pdata[i], &length);
    g_autofree char *topic = g_strndup (prefix ? prefix : "", length);

    g_assert_cmpuint (length, >=, size);
    g_assert_true (size == 0 || memcmp (prefix, asked, size) == 0);
    if (strlen (topic) == length) /* a subscription may have a NUL, a topic does not */
      g_assert_true (seed_rights_allow_topic (rights, topic));
  }
}

/* A key file; its first bytes also stand for a subscription of its bearer. */
int
LLVMFuzzerTestOneInput (const uint8_t *data, size_t size)
{
  g_auto (SeedKeyFile) file = SEED_KEY_FILE_INIT;
  g_autoptr (GError) error = NULL;

  if (!seed_key_file_parse ("fuzz", (const char *) data, size, &file, &error)) {
    g_assert_nonnull (error);
    g_assert_null (file.name);
    return 0;
  }
  g_assert_no_error (error);
  check_round_trip (&file);
  for (gsize asked = 0; asked <= MIN (size, 8); asked++)
    check_rights (&file, (const char *) data, asked);
  check_rights (&file, "lobby/", 6);
  return 0;
}
