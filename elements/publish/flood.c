/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <sys/timerfd.h>
#include <unistd.h>

#include <seed/error.h>

#include "keys/zap-domain.h"
#include "publish/flood.h"

/* Beyond that, all are forgotten. */
#define MAX_PAUSES 1024u

struct _SeedFlood {
  SeedWatch *watch;
  SeedZap *zap;
  int timer_fd;
  guint id;
  gboolean ticking;   /* of the handshakes' thread, as the next */
  GHashTable *pauses; /* address -> gint64 monotonic us of the end */
};

static void
set_ticking (SeedFlood *flood, gboolean ticking)
{
  const struct timespec tick = { 0, SEED_FLOOD_TICK_MS * 1000000 };
  struct itimerspec spec = { { 0, 0 }, { 0, 0 } };

  if (ticking == flood->ticking)
    return;
  if (ticking)
    spec.it_value = spec.it_interval = tick;
  if (timerfd_settime (flood->timer_fd, 0, &spec, NULL) == 0)
    flood->ticking = ticking;
}

static void
pause_address (SeedFlood *flood, const char *address, gint64 now)
{
  gint64 until = now + SEED_FLOOD_PAUSE_MS * 1000;

  if (g_hash_table_size (flood->pauses) >= MAX_PAUSES)
    g_hash_table_remove_all (flood->pauses);
  g_hash_table_insert (flood->pauses, g_strdup (address), g_memdup2 (&until, sizeof until));
}

static void
on_tick (gpointer data)
{
  static const SeedAllowance allowance = { SEED_FLOOD_BURST, SEED_FLOOD_RATE };
  g_autoptr (GPtrArray) addresses = g_ptr_array_new_with_free_func (g_free);
  SeedFlood *flood = data;
  gint64 now = g_get_monotonic_time ();
  guint64 ticks;

  if (read (flood->timer_fd, &ticks, sizeof ticks) < 0 && errno == EAGAIN)
    return;
  if (seed_watch_weigh (flood->watch, &allowance, now, addresses) == 0)
    set_ticking (flood, FALSE);
  for (guint i = 0; i < addresses->len; i++)
    pause_address (flood, addresses->pdata[i], now);
}

SeedFlood *
seed_flood_new (SeedWatch *watch, SeedZap *zap, GError **error)
{
  SeedFlood *flood;
  int fd = timerfd_create (CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK);

  if (fd < 0) {
    g_set_error (error, SEED_ERROR, SEED_ERROR_IO, "no timer to be had to watch connections: %s",
        g_strerror (errno));
    return NULL;
  }
  flood = g_new0 (SeedFlood, 1);
  flood->watch = watch;
  flood->zap = zap;
  flood->timer_fd = fd;
  flood->pauses = g_hash_table_new_full (g_str_hash, g_str_equal, g_free, g_free);
  flood->id = seed_zap_add_fd (zap, fd, on_tick, flood);
  return flood;
}

void
seed_flood_free (SeedFlood *flood)
{
  if (!flood)
    return;
  seed_zap_remove_fd (flood->zap, flood->id);
  close (flood->timer_fd);
  g_hash_table_unref (flood->pauses);
  g_free (flood);
}

gboolean
seed_flood_admit (SeedFlood *flood, const char *address)
{
  const gint64 *until = g_hash_table_lookup (flood->pauses, address);

  set_ticking (flood, TRUE);
  if (until && g_get_monotonic_time () < *until)
    return FALSE;
  if (until)
    g_hash_table_remove (flood->pauses, address);
  return TRUE;
}
