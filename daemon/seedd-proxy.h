/* SPDX-License-Identifier: MIT */
#pragma once

#include <json-glib/json-glib.h>

G_BEGIN_DECLS

/**
 * One public endpoint for the results of all graphs: XSUB connected to every graph's private
 * endpoints -> XPUB. A thread of its own passes messages on as they are; the other functions may be
 * called from any thread.
 *
 * - Subscriptions are passed on to the graphs, so what nobody wants is not sent; but the proxy
 *   itself subscribes to GRAPH/-/train/ and GRAPH/-/health/ of every graph and keeps the last
 *   message of each topic. A new subscriber gets those that match: also of a graph that has ended.
 * - Memory is bounded by the high-water mark for each graph and each subscriber. As in
 *   seedpublish, a message that one subscriber has no room for is dropped for all and counted; one
 *   that stays full for a second is set aside.
 */
typedef struct _SeeddProxy SeeddProxy;

typedef struct {
  const char *endpoint; /* see seed_endpoint_for_bind */
  gboolean insecure;
  int hwm;
} SeeddProxyConfig;

SeeddProxy *seedd_proxy_new (const SeeddProxyConfig *config, GError **error);
/** Waits for what lingers, a fraction of a second. NULL is fine. */
void seedd_proxy_free (SeeddProxy *proxy);
G_DEFINE_AUTOPTR_CLEANUP_FUNC (SeeddProxy, seedd_proxy_free)

/** Where it is bound, with the real port. */
const char *seedd_proxy_endpoint (const SeeddProxy *proxy);

/** Connects to a private endpoint of @graph; nothing happens when it is connected already. */
void seedd_proxy_connect (SeeddProxy *proxy, const char *graph, const char *endpoint);
/** Disconnects all endpoints of @graph. @forget: its retained messages, too. */
void seedd_proxy_disconnect (SeeddProxy *proxy, const char *graph, gboolean forget);

/**
 * Publishes an event of the daemon itself, topic GRAPH/-/event/seedd/, seq counted from 0.
 * @details: members besides event, reason and id; borrowed, may be NULL.
 */
void seedd_proxy_publish_event (SeeddProxy *proxy, const char *graph, const char *event,
    const char *reason, JsonObject *details);

/** endpoint, subscriptions, received, sent, dropped, set_aside, retained. Caller unrefs. */
JsonObject *seedd_proxy_stats (SeeddProxy *proxy);

G_END_DECLS
