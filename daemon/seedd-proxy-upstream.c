/* SPDX-License-Identifier: MIT */
#include "seedd-proxy-private.h"

#include <string.h>

/* A graph's publisher hangs up on whoever asks it for more than 1024 prefixes or 64 KiB of them
 * (publish/peers.h), and the proxy is one peer of it, however many subscribers stand behind. Half
 * of that is for them, the rest for what the proxy itself wants. */
#define MAX_PREFIXES 512u
#define MAX_BYTES (32u * 1024)

struct _SeeddUpstream {
  void *graphs;         /* XSUB, borrowed */
  GHashTable *prefixes; /* GBytes -> guint: subscriptions of that prefix */
  gsize bytes;          /* of the prefixes */
  gboolean everything;  /* there are too many to name */
};

SeeddUpstream *
seedd_upstream_new (void *graphs)
{
  SeeddUpstream *upstream = g_new0 (SeeddUpstream, 1);

  upstream->graphs = graphs;
  upstream->prefixes =
      g_hash_table_new_full (g_bytes_hash, g_bytes_equal, (GDestroyNotify) g_bytes_unref, NULL);
  return upstream;
}

void
seedd_upstream_free (SeeddUpstream *upstream)
{
  if (!upstream)
    return;
  g_hash_table_unref (upstream->prefixes);
  g_free (upstream);
}

void
seedd_upstream_tell (SeeddUpstream *upstream, gboolean begins, const void *prefix, gsize size)
{
  g_autofree char *text = g_malloc (size + 1);

  text[0] = begins ? 1 : 0;
  if (size > 0)
    memcpy (text + 1, prefix, size);
  while (zmq_send (upstream->graphs, text, size + 1, ZMQ_DONTWAIT) < 0 && errno == EINTR)
    ;
}

static void
tell_all (SeeddUpstream *upstream, gboolean begins)
{
  GHashTableIter iter;
  gpointer prefix;

  g_hash_table_iter_init (&iter, upstream->prefixes);
  while (g_hash_table_iter_next (&iter, &prefix, NULL)) {
    gsize size;
    const void *data = g_bytes_get_data (prefix, &size);

    seedd_upstream_tell (upstream, begins, data, size);
  }
}

/* What is new is asked for before what is old is given up, so that nothing is missed. Back only
 * when there are far fewer, or a subscriber at the limit could have all of them sent each time. */
static void
choose (SeeddUpstream *upstream)
{
  guint n = g_hash_table_size (upstream->prefixes);

  if (!upstream->everything && (n > MAX_PREFIXES || upstream->bytes > MAX_BYTES)) {
    upstream->everything = TRUE;
    seedd_upstream_tell (upstream, TRUE, "", 0);
    tell_all (upstream, FALSE);
  } else if (upstream->everything && n <= MAX_PREFIXES / 2 && upstream->bytes <= MAX_BYTES / 2) {
    upstream->everything = FALSE;
    tell_all (upstream, TRUE);
    seedd_upstream_tell (upstream, FALSE, "", 0);
  }
}

void
seedd_upstream_add (SeeddUpstream *upstream, const void *prefix, gsize size)
{
  GBytes *key = g_bytes_new (prefix, size);
  guint n = GPOINTER_TO_UINT (g_hash_table_lookup (upstream->prefixes, key));

  g_hash_table_insert (upstream->prefixes, key, GUINT_TO_POINTER (n + 1));
  if (n > 0)
    return;
  upstream->bytes += size;
  if (!upstream->everything)
    seedd_upstream_tell (upstream, TRUE, prefix, size);
  choose (upstream);
}

void
seedd_upstream_remove (SeeddUpstream *upstream, const void *prefix, gsize size)
{
  g_autoptr (GBytes) key = g_bytes_new (prefix, size);
  guint n = GPOINTER_TO_UINT (g_hash_table_lookup (upstream->prefixes, key));

  if (n > 1)
    g_hash_table_insert (upstream->prefixes, g_bytes_ref (key), GUINT_TO_POINTER (n - 1));
  if (n != 1)
    return;
  g_hash_table_remove (upstream->prefixes, key);
  upstream->bytes -= size;
  if (!upstream->everything)
    seedd_upstream_tell (upstream, FALSE, prefix, size);
  choose (upstream);
}

guint
seedd_upstream_count (const SeeddUpstream *upstream)
{
  return upstream->everything ? 1 : g_hash_table_size (upstream->prefixes);
}
