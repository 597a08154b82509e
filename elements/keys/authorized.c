/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <string.h>
#include <sys/stat.h>

#include <seed/error.h>

#include "keys/rights.h"

static gboolean
check_folder (const char *folder, GError **error)
{
  struct stat status;

  if (stat (folder, &status) < 0) {
    g_set_error (error, SEED_ERROR, errno == ENOENT ? SEED_ERROR_NOT_FOUND : SEED_ERROR_IO,
        "%s: the folder of authorized keys: %s", folder, g_strerror (errno));
    return FALSE;
  }
  if (S_ISDIR (status.st_mode) && !(status.st_mode & 0022))
    return TRUE;
  g_set_error (error, SEED_ERROR, SEED_ERROR_INVALID,
      S_ISDIR (status.st_mode)
          ? "%s: others than the owner may write to it and so authorize themselves: chmod go-w %s"
          : "%s: is no folder of authorized keys",
      folder, folder);
  return FALSE;
}

static gboolean
add_key (GHashTable *keys, const char *path, const char *name, GError **error)
{
  g_auto (SeedKeyFile) file = SEED_KEY_FILE_INIT;
  g_autoptr (SeedRights) rights = NULL;
  const SeedRights *other;

  if (!seed_key_file_load (path, &file, error))
    return FALSE;
  if (*file.secret_key) {
    g_set_error (error, SEED_ERROR, SEED_ERROR_INVALID,
        "%s: holds a secret key, which its owner alone may have: put the public half here", path);
    return FALSE;
  }
  rights = seed_rights_new (&file, name, error);
  if (!rights) {
    g_prefix_error (error, "%s: ", path);
    return FALSE;
  }
  other = g_hash_table_lookup (keys, file.public_key);
  if (other) {
    g_set_error (error, SEED_ERROR, SEED_ERROR_INVALID,
        "%s: the key is that of \"%s\" too; one file a key", path, seed_rights_name (other));
    return FALSE;
  }
  g_hash_table_insert (keys, g_strdup (file.public_key), g_steal_pointer (&rights));
  return TRUE;
}

static int
compare_names (gconstpointer a, gconstpointer b)
{
  return strcmp (*(const char *const *) a, *(const char *const *) b);
}

/* In the order of their names, so that of two files with one key always the same one counts. */
static GPtrArray *
list_names (const char *folder, GError **error)
{
  g_autoptr (GDir) dir = g_dir_open (folder, 0, NULL);
  g_autoptr (GPtrArray) names = g_ptr_array_new_with_free_func (g_free);
  const char *name;

  if (!dir) {
    g_set_error (error, SEED_ERROR, SEED_ERROR_IO, "%s: cannot be read", folder);
    return NULL;
  }
  while ((name = g_dir_read_name (dir))) {
    if (*name == '.' || g_str_has_suffix (name, "~"))
      continue;
    if (names->len >= SEED_AUTHORIZED_MAX_FILES) {
      g_set_error (error, SEED_ERROR, SEED_ERROR_LIMIT, "%s: has more than %u keys", folder,
          SEED_AUTHORIZED_MAX_FILES);
      return NULL;
    }
    g_ptr_array_add (names, g_strdup (name));
  }
  g_ptr_array_sort (names, compare_names);
  return g_steal_pointer (&names);
}

static char *
describe_problem (const GError *first, guint n)
{
  if (n == 0)
    return NULL;
  if (n == 1)
    return g_strdup (first->message);
  return g_strdup_printf ("%s (and %u more files)", first->message, n - 1);
}

GHashTable *
seed_authorized_load (const char *folder, char **problem, GError **error)
{
  g_autoptr (GHashTable) keys =
      g_hash_table_new_full (g_str_hash, g_str_equal, g_free, (GDestroyNotify) seed_rights_unref);
  g_autoptr (GPtrArray) names = NULL;
  g_autoptr (GError) first = NULL;
  guint n_bad = 0;

  if (!check_folder (folder, error))
    return NULL;
  names = list_names (folder, error);
  if (!names)
    return NULL;
  for (guint i = 0; i < names->len; i++) {
    g_autofree char *path = g_build_filename (folder, names->pdata[i], NULL);

    if (!add_key (keys, path, names->pdata[i], first ? NULL : &first))
      n_bad++;
  }
  *problem = describe_problem (first, n_bad);
  return g_steal_pointer (&keys);
}
