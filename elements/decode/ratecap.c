/* SPDX-License-Identifier: MIT */
#include "decode/ratecap.h"

#define FORGIVEN_NS 1000000

void
seed_rate_cap_init (SeedRateCap *cap, double fps)
{
  g_return_if_fail (fps >= 0);
  *cap = (SeedRateCap){ .fps = fps };
}

gboolean
seed_rate_cap_keep (SeedRateCap *cap, guint64 time_ns)
{
  guint64 slot;
  double forgiven;

  if (cap->fps <= 0)
    return TRUE;
  if (!cap->started || time_ns < cap->last_ns) {
    cap->started = TRUE;
    cap->base_ns = cap->last_ns = time_ns;
    cap->slot = 0;
    return TRUE;
  }
  cap->last_ns = time_ns;
  forgiven = MIN (FORGIVEN_NS, 0.5e9 / cap->fps);
  slot = (guint64) (((double) (time_ns - cap->base_ns) + forgiven) * 1e-9 * cap->fps);
  if (slot == cap->slot)
    return FALSE;
  cap->slot = slot;
  return TRUE;
}
