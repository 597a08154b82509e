/* SPDX-License-Identifier: MIT */
#include "seedd-keys.h"

#include "seedd-log.h"

SeeddKeys *
seedd_keys_new (void *context, const char *where, const char *server_key, const char *authorized,
    GError **error)
{
  g_autoptr (SeeddKeys) keys = g_new0 (SeeddKeys, 1);

  keys->where = where;
  keys->server = seed_curve_keypair_load (server_key, error);
  if (keys->server)
    keys->zap = seed_zap_new (context, authorized, error);
  if (keys->zap)
    return g_steal_pointer (&keys);
  g_prefix_error (error, "%s: ", where);
  return NULL;
}

void
seedd_keys_free (SeeddKeys *keys)
{
  if (!keys)
    return;
  seed_zap_free (keys->zap);
  seed_curve_keypair_free (keys->server);
  g_free (keys->problem);
  g_free (keys);
}

void
seedd_keys_look (SeeddKeys *keys)
{
  g_autofree char *problem = seed_zap_problem (keys->zap);

  if (g_strcmp0 (problem, keys->problem) == 0)
    return;
  if (problem)
    seedd_log (LOG_WARNING, NULL, "%s: %s", keys->where, problem);
  g_free (keys->problem);
  keys->problem = g_steal_pointer (&problem);
}

JsonObject *
seedd_keys_describe (SeeddKeys *keys)
{
  JsonObject *object = json_object_new ();
  g_autofree char *problem = seed_zap_problem (keys->zap);
  SeedZapStats stats;

  seed_zap_get_stats (keys->zap, &stats);
  json_object_set_int_member (object, "authorized", (gint64) stats.keys);
  json_object_set_int_member (object, "granted", (gint64) stats.granted);
  json_object_set_int_member (object, "refused", (gint64) stats.refused);
  json_object_set_int_member (object, "reloads", (gint64) stats.reloads);
  if (problem)
    json_object_set_string_member (object, "problem", problem);
  else
    json_object_set_null_member (object, "problem");
  return object;
}
