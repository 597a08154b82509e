/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <sys/timerfd.h>
#include <unistd.h>

#include <seed/error.h>

#include "keys/zap-domain.h"
#include "publish/flood.h"

struct _SeedFlood {
  SeedWatch *watch;
  SeedZap *zap;
  int timer_fd;
  guint id;
  gboolean ticking; /* of the handshakes' thread */
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
on_tick (gpointer data)
{
  static const SeedAllowance allowance = { SEED_FLOOD_BURST, SEED_FLOOD_RATE };
  SeedFlood *flood = data;
  guint64 ticks;

  if (read (flood->timer_fd, &ticks, sizeof ticks) < 0 && errno == EAGAIN)
    return;
  if (seed_watch_weigh (flood->watch, &allowance, g_get_monotonic_time ()) == 0)
    set_ticking (flood, FALSE);
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
  g_free (flood);
}

void
seed_flood_expect (SeedFlood *flood)
{
  set_ticking (flood, TRUE);
}
