/* SPDX-License-Identifier: MIT */
#include <string.h>

#include <seed/error.h>

#include "keys/rights.h"

struct _SeedRights {
  gatomicrefcount refs;
  char *name;
  char key[SEED_CURVE_KEY_LENGTH + 1];
  GPtrArray *prefixes; /* char *, none begins with another */
  GPtrArray *methods;  /* GPatternSpec */
  char *text;          /* of both lists, to compare */
};

SeedRights *
seed_rights_ref (SeedRights *rights)
{
  g_atomic_ref_count_inc (&rights->refs);
  return rights;
}

void
seed_rights_unref (SeedRights *rights)
{
  if (!rights || !g_atomic_ref_count_dec (&rights->refs))
    return;
  g_ptr_array_unref (rights->prefixes);
  g_ptr_array_unref (rights->methods);
  g_free (rights->name);
  g_free (rights->text);
  g_free (rights);
}

static gboolean
is_prefix (const char *text)
{
  for (; *text; text++) {
    if (!g_ascii_isalnum (*text) && !strchr ("/._-", *text))
      return FALSE;
  }
  return TRUE;
}

/* Leaves out what another item covers, so that a topic matches one item at most. */
static void
add_prefix (GPtrArray *prefixes, const char *prefix)
{
  for (guint i = 0; i < prefixes->len; i++) {
    if (g_str_has_prefix (prefix, prefixes->pdata[i]))
      return;
  }
  for (guint i = prefixes->len; i-- > 0;) {
    if (g_str_has_prefix (prefixes->pdata[i], prefix))
      g_ptr_array_remove_index (prefixes, i);
  }
  g_ptr_array_add (prefixes, g_strdup (prefix));
}

/* A prefix may end with "*"; that alone is everything. */
static gboolean
add_results (SeedRights *rights, char **results, GError **error)
{
  for (guint i = 0; results && results[i]; i++) {
    g_autofree char *prefix = g_strdup (results[i]);

    if (g_str_has_suffix (prefix, "*"))
      prefix[strlen (prefix) - 1] = '\0';
    if (!is_prefix (prefix)) {
      g_set_error (error, SEED_ERROR, SEED_ERROR_FORMAT,
          "results: \"%s\" begins no topic; expected the begin of GRAPH/STREAM/KIND/NODE/, or "
          "\"*\"",
          results[i]);
      return FALSE;
    }
    add_prefix (rights->prefixes, prefix);
  }
  return TRUE;
}

static char *
describe (char **results, char **control)
{
  g_autofree char *a = results ? g_strjoinv (",", results) : g_strdup ("");
  g_autofree char *b = control ? g_strjoinv (",", control) : g_strdup ("");

  return g_strconcat (a, ";", b, NULL);
}

SeedRights *
seed_rights_new (SeedKeyFile *file, const char *name, GError **error)
{
  g_autoptr (SeedRights) rights = g_new0 (SeedRights, 1);

  g_atomic_ref_count_init (&rights->refs);
  rights->prefixes = g_ptr_array_new_with_free_func (g_free);
  rights->methods = g_ptr_array_new_with_free_func ((GDestroyNotify) g_pattern_spec_free);
  rights->name = g_strdup (file->name && *file->name ? file->name : name);
  memcpy (rights->key, file->public_key, sizeof rights->key);
  rights->text = describe (file->results, file->control);
  if (!add_results (rights, file->results, error))
    return NULL;
  for (guint i = 0; file->control && file->control[i]; i++)
    g_ptr_array_add (rights->methods, g_pattern_spec_new (file->control[i]));
  return g_steal_pointer (&rights);
}

const char *
seed_rights_name (const SeedRights *rights)
{
  return rights->name;
}

const char *
seed_rights_key (const SeedRights *rights)
{
  return rights->key;
}

gboolean
seed_rights_equal (const SeedRights *a, const SeedRights *b)
{
  return a == b || (a && b && strcmp (a->key, b->key) == 0 && strcmp (a->text, b->text) == 0);
}

gboolean
seed_rights_allow_use (const SeedRights *rights, SeedZapUse uses)
{
  return ((uses & SEED_ZAP_RESULTS) && rights->prefixes->len > 0) ||
         ((uses & SEED_ZAP_CONTROL) && rights->methods->len > 0);
}

gboolean
seed_rights_allow_method (const SeedRights *rights, const char *method)
{
  for (guint i = 0; i < rights->methods->len; i++) {
    if (g_pattern_spec_match_string (rights->methods->pdata[i], method))
      return TRUE;
  }
  return FALSE;
}

gboolean
seed_rights_allow_topic (const SeedRights *rights, const char *topic)
{
  for (guint i = 0; i < rights->prefixes->len; i++) {
    if (g_str_has_prefix (topic, rights->prefixes->pdata[i]))
      return TRUE;
  }
  return FALSE;
}

GPtrArray *
seed_rights_narrow (const SeedRights *rights, const void *prefix, gsize size)
{
  GPtrArray *narrow = g_ptr_array_new_with_free_func ((GDestroyNotify) g_bytes_unref);

  for (guint i = 0; i < rights->prefixes->len; i++) {
    const char *allowed = rights->prefixes->pdata[i];
    gsize length = strlen (allowed);

    if (memcmp (allowed, prefix, MIN (length, size)) != 0)
      continue;
    g_ptr_array_add (
        narrow, length > size ? g_bytes_new (allowed, length) : g_bytes_new (prefix, size));
  }
  return narrow;
}
