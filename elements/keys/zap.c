/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <string.h>
#include <sys/inotify.h>
#include <unistd.h>
#include <zmq.h>

#include <seed/error.h>

#include "keys/rights.h"
#include "keys/zap-handler.h"

/* In <zmq.h> among what is not final: without it a socket whose handler is gone takes everybody. */
#ifndef ZMQ_ZAP_ENFORCE_DOMAIN
#define ZMQ_ZAP_ENFORCE_DOMAIN 93
#endif
#ifndef ZMQ_MSG_PROPERTY_USER_ID
#define ZMQ_MSG_PROPERTY_USER_ID "User-Id"
#endif

/* Where the folder cannot be watched (no watch left, or it is gone for now), handshakes read it
 * again, this often at most. */
#define UNWATCHED_RELOAD_US G_TIME_SPAN_SECOND
#define MAX_BANS 1024u

typedef struct {
  SeedZap *zap;
  guint id;
  gboolean curve;
  SeedZapUse use;
  SeedZapHook hook;
} Domain;

struct _SeedZap {
  SeedZapHandler *handler;
  char *folder; /* NULL: everybody */
  int watch_fd; /* inotify, -1 where there is none */
  gboolean watched;
  guint watch_id;
  GMutex reload_lock; /* one reader of the folder at a time; taken before lock */
  GMutex lock;
  GHashTable *keys; /* key -> SeedRights */
  GHashTable *bans; /* key -> gint64 monotonic us of the end */
  GPtrArray *domains;
  char *problem;
  guint64 generation;
  gint64 loaded_us;
  SeedZapStats stats;
};

/* The folder */

static void
notify_changed (SeedZap *zap)
{
  for (guint i = 0; i < zap->domains->len; i++) {
    const Domain *domain = zap->domains->pdata[i];

    if (domain->hook.changed)
      domain->hook.changed (domain->hook.data);
  }
}

/* @keys is NULL when the folder cannot be used: then nobody is authorized. */
static void
take_keys (SeedZap *zap, GHashTable *keys, char *problem, gboolean watched)
{
  g_mutex_lock (&zap->lock);
  zap->watched = watched;
  g_clear_pointer (&zap->keys, g_hash_table_unref);
  zap->keys = keys;
  g_free (zap->problem);
  zap->problem = problem;
  zap->generation++;
  zap->loaded_us = g_get_monotonic_time ();
  zap->stats.reloads++;
  zap->stats.keys = keys ? g_hash_table_size (keys) : 0;
  notify_changed (zap);
  g_mutex_unlock (&zap->lock);
}

/* Before the folder is read: what changes meanwhile is news again. Watching it once more does
 * nothing, unless another folder took its place. */
static gboolean
watch_folder (SeedZap *zap)
{
  const guint32 events = IN_CREATE | IN_CLOSE_WRITE | IN_MOVED_TO | IN_MOVED_FROM | IN_DELETE |
                         IN_ATTRIB | IN_DELETE_SELF | IN_MOVE_SELF;
  char skipped[4096] __attribute__ ((aligned (__alignof__(struct inotify_event))));

  if (zap->watch_fd < 0)
    return FALSE;
  while (read (zap->watch_fd, skipped, sizeof skipped) > 0)
    ;
  return inotify_add_watch (zap->watch_fd, zap->folder, events) >= 0;
}

gboolean
seed_zap_reload (SeedZap *zap, GError **error)
{
  g_autoptr (GError) cause = NULL;
  char *problem = NULL;
  GHashTable *keys;
  gboolean watched;

  if (!zap->folder)
    return TRUE;
  g_mutex_lock (&zap->reload_lock);
  watched = watch_folder (zap);
  keys = seed_authorized_load (zap->folder, &problem, &cause);
  if (cause)
    problem = g_strdup (cause->message);
  if (problem)
    g_set_error_literal (error, SEED_ERROR, cause ? cause->code : SEED_ERROR_INVALID, problem);
  take_keys (zap, keys, problem, watched);
  g_mutex_unlock (&zap->reload_lock);
  return problem == NULL;
}

static void
on_folder_changed (gpointer data)
{
  seed_zap_reload (data, NULL);
}

SeedZap *
seed_zap_new (void *context, const char *folder, GError **error)
{
  g_autoptr (SeedZap) zap = g_new0 (SeedZap, 1);

  g_mutex_init (&zap->lock);
  g_mutex_init (&zap->reload_lock);
  zap->folder = g_strdup (folder);
  zap->watch_fd = -1;
  zap->domains = g_ptr_array_new_with_free_func (g_free);
  zap->bans = g_hash_table_new_full (g_str_hash, g_str_equal, g_free, g_free);
  zap->handler = seed_zap_handler_ref (context, error);
  if (!zap->handler)
    return NULL;
  if (!folder)
    return g_steal_pointer (&zap);
  zap->watch_fd = inotify_init1 (IN_CLOEXEC | IN_NONBLOCK);
  if (!seed_zap_reload (zap, error))
    return NULL;
  if (zap->watch_fd >= 0)
    zap->watch_id = seed_zap_handler_add_fd (zap->handler, zap->watch_fd, on_folder_changed, zap);
  return g_steal_pointer (&zap);
}

void
seed_zap_free (SeedZap *zap)
{
  if (!zap)
    return;
  if (zap->watch_id)
    seed_zap_handler_remove_fd (zap->handler, zap->watch_id);
  for (guint i = 0; i < zap->domains->len; i++)
    seed_zap_handler_remove_domain (zap->handler, ((Domain *) zap->domains->pdata[i])->id);
  seed_zap_handler_unref (zap->handler);
  if (zap->watch_fd >= 0)
    close (zap->watch_fd);
  g_clear_pointer (&zap->keys, g_hash_table_unref);
  g_hash_table_unref (zap->bans);
  g_ptr_array_unref (zap->domains);
  g_mutex_clear (&zap->lock);
  g_mutex_clear (&zap->reload_lock);
  g_free (zap->problem);
  g_free (zap->folder);
  g_free (zap);
}

char *
seed_zap_problem (SeedZap *zap)
{
  char *problem;

  g_mutex_lock (&zap->lock);
  problem = g_strdup (zap->problem);
  g_mutex_unlock (&zap->lock);
  return problem;
}

/* Handshakes */

/* With the lock held. */
static gboolean
is_banned (SeedZap *zap, const char *key)
{
  const gint64 *until = g_hash_table_lookup (zap->bans, key);

  if (until && g_get_monotonic_time () < *until)
    return TRUE;
  if (until)
    g_hash_table_remove (zap->bans, key);
  return FALSE;
}

static gboolean
is_welcome (SeedZap *zap, const Domain *domain, const SeedZapRequest *request)
{
  const SeedRights *rights;

  if (!domain->curve)
    return request->mechanism == SEED_ZAP_NULL;
  rights = zap->keys && request->mechanism == SEED_ZAP_CURVE
               ? g_hash_table_lookup (zap->keys, request->key)
               : NULL;
  return rights && seed_rights_allow_use (rights, domain->use) && !is_banned (zap, request->key);
}

static void
answer (const SeedZapRequest *request, SeedZapAnswer *answer, gpointer data)
{
  const Domain *domain = data;
  SeedZap *zap = domain->zap;
  gboolean stale, welcome;

  g_mutex_lock (&zap->lock);
  stale = zap->folder && !zap->watched &&
          g_get_monotonic_time () - zap->loaded_us >= UNWATCHED_RELOAD_US;
  g_mutex_unlock (&zap->lock);
  if (stale)
    seed_zap_reload (zap, NULL);
  g_mutex_lock (&zap->lock);
  welcome = is_welcome (zap, domain, request) &&
            (!domain->hook.admit ||
                domain->hook.admit (request->address, &answer->stamp, domain->hook.data));
  if (welcome)
    zap->stats.granted++;
  else
    zap->stats.refused++;
  g_mutex_unlock (&zap->lock);
  if (!welcome)
    return;
  answer->status = 200;
  g_strlcpy (answer->user_id, request->key, sizeof answer->user_id);
}

static gboolean
set_option (void *socket, int option, const void *value, gsize size, GError **error)
{
  if (zmq_setsockopt (socket, option, value, size) == 0)
    return TRUE;
  g_set_error (error, SEED_ERROR, SEED_ERROR_IO, "ZeroMQ refused the security option %d: %s",
      option, zmq_strerror (errno));
  return FALSE;
}

static gboolean
set_options (void *socket, const SeedCurveKeypair *server, const char *domain, GError **error)
{
  int one = 1;

  zmq_setsockopt (socket, ZMQ_ZAP_ENFORCE_DOMAIN, &one, sizeof one);
  if (!set_option (socket, ZMQ_ZAP_DOMAIN, domain, strlen (domain), error))
    return FALSE;
  return !server || (set_option (socket, ZMQ_CURVE_SERVER, &one, sizeof one, error) &&
                        set_option (socket, ZMQ_CURVE_SECRETKEY, seed_curve_keypair_secret (server),
                            SEED_CURVE_KEY_LENGTH + 1, error));
}

gboolean
seed_zap_apply_hooked (SeedZap *zap, void *socket, const SeedCurveKeypair *server, SeedZapUse use,
    const SeedZapHook *hook, GError **error)
{
  g_autofree char *name = NULL;
  Domain *domain;

  if (!server != !zap->folder) {
    g_set_error (error, SEED_ERROR, SEED_ERROR_INVALID,
        "a server's key pair and a folder of authorized keys belong together");
    return FALSE;
  }
  domain = g_new0 (Domain, 1);
  domain->zap = zap;
  domain->curve = server != NULL;
  domain->use = use;
  if (hook)
    domain->hook = *hook;
  domain->id = seed_zap_handler_add_domain (zap->handler, answer, domain, &name);
  g_mutex_lock (&zap->lock);
  g_ptr_array_add (zap->domains, domain);
  g_mutex_unlock (&zap->lock);
  return set_options (socket, server, name, error);
}

gboolean
seed_zap_apply_server (
    SeedZap *zap, void *socket, const SeedCurveKeypair *server, SeedZapUse use, GError **error)
{
  return seed_zap_apply_hooked (zap, socket, server, use, NULL, error);
}

static Domain *
steal_domain (SeedZap *zap, gpointer hook_data)
{
  Domain *found = NULL;

  g_mutex_lock (&zap->lock);
  for (guint i = 0; !found && i < zap->domains->len; i++) {
    if (((Domain *) zap->domains->pdata[i])->hook.data == hook_data)
      found = g_ptr_array_steal_index (zap->domains, i);
  }
  g_mutex_unlock (&zap->lock);
  return found;
}

void
seed_zap_forget (SeedZap *zap, gpointer hook_data)
{
  g_autofree Domain *domain = steal_domain (zap, hook_data);

  if (domain)
    seed_zap_handler_remove_domain (zap->handler, domain->id);
}

guint
seed_zap_add_fd (SeedZap *zap, int fd, void (*func) (gpointer data), gpointer data)
{
  return seed_zap_handler_add_fd (zap->handler, fd, func, data);
}

void
seed_zap_remove_fd (SeedZap *zap, guint id)
{
  seed_zap_handler_remove_fd (zap->handler, id);
}

/* Rights */

guint64
seed_zap_generation (SeedZap *zap)
{
  guint64 generation;

  g_mutex_lock (&zap->lock);
  generation = zap->generation;
  g_mutex_unlock (&zap->lock);
  return generation;
}

SeedRights *
seed_zap_rights_of (SeedZap *zap, const char *key)
{
  SeedRights *rights;

  g_mutex_lock (&zap->lock);
  rights = zap->keys ? g_hash_table_lookup (zap->keys, key) : NULL;
  if (rights)
    seed_rights_ref (rights);
  g_mutex_unlock (&zap->lock);
  return rights;
}

SeedRights *
seed_zap_rights_for (SeedZap *zap, zmq_msg_t *message)
{
  const char *key = zmq_msg_gets (message, ZMQ_MSG_PROPERTY_USER_ID);

  return key ? seed_zap_rights_of (zap, key) : NULL;
}

void
seed_zap_ban (SeedZap *zap, const char *key, guint seconds)
{
  gint64 until = g_get_monotonic_time () + (gint64) seconds * G_TIME_SPAN_SECOND;

  g_mutex_lock (&zap->lock);
  if (g_hash_table_size (zap->bans) >= MAX_BANS)
    g_hash_table_remove_all (zap->bans);
  g_hash_table_insert (zap->bans, g_strdup (key), g_memdup2 (&until, sizeof until));
  g_mutex_unlock (&zap->lock);
}

gboolean
seed_zap_peer_of (zmq_msg_t *message, guint64 *number, guint64 *stamp)
{
  const char *text = zmq_msg_gets (message, SEED_ZAP_PROPERTY);
  char *end = NULL;

  if (!text)
    return FALSE;
  *number = g_ascii_strtoull (text, &end, 10);
  if (*end != '.')
    return FALSE;
  *stamp = g_ascii_strtoull (end + 1, NULL, 10);
  return TRUE;
}

void
seed_zap_get_stats (SeedZap *zap, SeedZapStats *stats)
{
  g_mutex_lock (&zap->lock);
  *stats = zap->stats;
  g_mutex_unlock (&zap->lock);
}
