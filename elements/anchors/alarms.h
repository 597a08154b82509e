/* SPDX-License-Identifier: MIT */
#pragma once

#include "anchors/anchors.h"
#include "anchors/contingency.h"

/*
 * Watches a student that learns anchors for the ways in which such learning fails, all of which
 * leave a loss that looks well. Each alarm is a flag that holds as long as its condition does.
 */
typedef enum {
  /* exp (H (mean p)) of the last step below min_perplexity: few anchors are used */
  SEED_ANCHOR_ALARM_PERPLEXITY = 1 << 0,
  /* the last `window` steps all had L_a above log K - stuck_margin: words tell nothing of anchors
   */
  SEED_ANCHOR_ALARM_STUCK = 1 << 1,
  /* adjusted mutual information of a reference word's anchor and its position, over about the last
   * `window` steps, above max_position: anchors stand for places and not for what is there */
  SEED_ANCHOR_ALARM_POSITION = 1 << 2,
  /* the last batch had too few distinct frames and was refused (seed_anchors_assign) */
  SEED_ANCHOR_ALARM_FRAMES = 1 << 3,
} SeedAnchorAlarm;

#define SEED_ANCHOR_N_ALARMS 4

typedef struct {
  double min_perplexity; /* 100 of 256 anchors, in proportion for others */
  double stuck_margin;   /* 0.05 nats */
  double max_position;   /* 0.5, of 0..1 */
  guint window;          /* 200 steps */
} SeedAnchorAlarmsConfig;

void seed_anchor_alarms_config_init (SeedAnchorAlarmsConfig *config, guint n_anchors);

typedef struct _SeedAnchorAlarms SeedAnchorAlarms;

/* @n_words: of a reference view. SEED_ERROR_INVALID naming a threshold that is out of range. */
SeedAnchorAlarms *seed_anchor_alarms_new (
    const SeedAnchorAlarmsConfig *config, guint n_anchors, guint n_words, GError **error);
void seed_anchor_alarms_free (SeedAnchorAlarms *alarms);
G_DEFINE_AUTOPTR_CLEANUP_FUNC (SeedAnchorAlarms, seed_anchor_alarms_free)

/*
 * After a step: its @losses and its assignment Q [n, n_words, n_anchors]. Returns the flags that
 * hold now.
 */
guint seed_anchor_alarms_update (
    SeedAnchorAlarms *alarms, const SeedAnchorsLosses *losses, const real *assignment, guint n);
/* After a batch that was refused. Returns the flags that hold now. */
guint seed_anchor_alarms_refused (SeedAnchorAlarms *alarms);

/* What is published: the flags, how many steps or batches raised each, what anchors say of
 * positions. */
typedef struct {
  guint flags;
  guint64 counts[SEED_ANCHOR_N_ALARMS]; /* by bit */
  SeedInformation position;             /* of the last update */
} SeedAnchorAlarmsState;

const SeedAnchorAlarmsState *seed_anchor_alarms_get (const SeedAnchorAlarms *alarms);

/* A word for a topic or a key ("perplexity"), and a sentence for an operator. Static. @alarm: one
 * flag. */
const char *seed_anchor_alarm_name (SeedAnchorAlarm alarm);
const char *seed_anchor_alarm_text (SeedAnchorAlarm alarm);
