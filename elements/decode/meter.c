/* SPDX-License-Identifier: MIT */
#include "decode/meter.h"

#define N_BINS (SEED_METER_SECONDS + 1)

void
seed_meter_init (SeedMeter *meter)
{
  *meter = (SeedMeter){ 0 };
}

/* Empties what lies between the newest count and @second. */
static void
advance (SeedMeter *meter, gint64 second)
{
  gint64 steps = MIN (second - meter->second, N_BINS);

  for (gint64 i = 1; i <= steps; i++)
    meter->counts[(second - steps + i) % N_BINS] = 0;
  meter->second = MAX (meter->second, second);
}

void
seed_meter_count (SeedMeter *meter, gint64 now_ms)
{
  gint64 second = now_ms / 1000;

  if (!meter->started) {
    meter->started = TRUE;
    meter->first = meter->second = second;
  }
  advance (meter, second);
  meter->counts[meter->second % N_BINS]++;
}

double
seed_meter_rate (SeedMeter *meter, gint64 now_ms)
{
  gint64 whole;
  guint sum = 0;

  if (!meter->started)
    return 0;
  advance (meter, now_ms / 1000);
  whole = MIN (meter->second - meter->first, SEED_METER_SECONDS);
  for (gint64 i = 1; i <= whole; i++)
    sum += meter->counts[(meter->second - i) % N_BINS];
  return whole > 0 ? (double) sum / (double) whole : 0;
}
