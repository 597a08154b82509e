/* SPDX-License-Identifier: MIT */
#pragma once

#include <glib.h>

G_BEGIN_DECLS

#define SEED_METER_SECONDS 5

/** Events a second over the last SEED_METER_SECONDS whole seconds. Plain data, not thread-safe. */
typedef struct {
  guint counts[SEED_METER_SECONDS + 1]; /* by second, the present one included */
  gint64 second;                        /* of the newest count */
  gint64 first;                         /* of the first event */
  gboolean started;
} SeedMeter;

void seed_meter_init (SeedMeter *meter);
void seed_meter_count (SeedMeter *meter, gint64 now_ms);

/** 0 before a whole second has passed. */
double seed_meter_rate (SeedMeter *meter, gint64 now_ms);

G_END_DECLS
