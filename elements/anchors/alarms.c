/* SPDX-License-Identifier: MIT */
#include <seed/error.h>

#include "anchors/alarms.h"

#define MIN_PERPLEXITY 100.0 /* of SEED_ANCHORS_N */
#define STUCK_MARGIN 0.05
#define MAX_POSITION 0.5
#define WINDOW 200
#define MAX_WINDOW 1000000

struct _SeedAnchorAlarms {
  SeedAnchorAlarmsConfig config;
  guint n_anchors, n_words;
  guint stuck_for; /* steps */
  SeedContingency *positions;
  SeedAnchorAlarmsState state;
};

static const struct {
  SeedAnchorAlarm alarm;
  const char *name, *text;
} texts[SEED_ANCHOR_N_ALARMS] = {
  { SEED_ANCHOR_ALARM_PERPLEXITY, "perplexity",
      "few anchors are in use: raise the weight of the guard, lower lr, or learn from more varied "
      "frames" },
  { SEED_ANCHOR_ALARM_STUCK, "stuck",
      "the assignment loss stays at that of a uniform answer: lower lr, or warm up longer" },
  { SEED_ANCHOR_ALARM_POSITION, "position",
      "anchors stand for positions and not for content: drop more positions, keep fewer words, or "
      "use smaller crops" },
  { SEED_ANCHOR_ALARM_FRAMES, "frames",
      "too few distinct frames in a batch: use larger batches, or replay" },
};

void
seed_anchor_alarms_config_init (SeedAnchorAlarmsConfig *config, guint n_anchors)
{
  *config = (SeedAnchorAlarmsConfig){
    .min_perplexity = MIN_PERPLEXITY * n_anchors / SEED_ANCHORS_N,
    .stuck_margin = STUCK_MARGIN,
    .max_position = MAX_POSITION,
    .window = WINDOW,
  };
}

SeedAnchorAlarms *
seed_anchor_alarms_new (
    const SeedAnchorAlarmsConfig *config, guint n_anchors, guint n_words, GError **error)
{
  SeedAnchorAlarms *alarms;

  if (!(config->min_perplexity >= 0 && config->min_perplexity <= n_anchors) ||
      !(config->stuck_margin >= 0) || !(config->max_position >= 0 && config->max_position <= 1) ||
      config->window < 1 || config->window > MAX_WINDOW) {
    g_set_error (error, SEED_ERROR, SEED_ERROR_INVALID,
        "anchor alarms: perplexity %g must be in 0..%u, margin %g not below 0, position %g in "
        "0..1, window %u in 1..%u",
        config->min_perplexity, n_anchors, config->stuck_margin, config->max_position,
        config->window, MAX_WINDOW);
    return NULL;
  }
  alarms = g_new0 (SeedAnchorAlarms, 1);
  alarms->config = *config;
  alarms->n_anchors = n_anchors;
  alarms->n_words = n_words;
  alarms->positions = seed_contingency_new (n_anchors, n_words);
  return alarms;
}

void
seed_anchor_alarms_free (SeedAnchorAlarms *alarms)
{
  if (!alarms)
    return;
  seed_contingency_free (alarms->positions);
  g_free (alarms);
}

/* A word's anchor is the one that most of it is assigned to. */
static void
count_positions (SeedAnchorAlarms *alarms, const real *assignment, guint n)
{
  guint k = alarms->n_anchors;

  seed_contingency_forget (alarms->positions, 1 - 1.0 / alarms->config.window);
  for (gsize word = 0; word < (gsize) n * alarms->n_words; word++) {
    const real *q = assignment + word * k;
    guint best = 0;

    for (guint i = 1; i < k; i++)
      if (q[i] > q[best])
        best = i;
    seed_contingency_add (alarms->positions, best, (guint) (word % alarms->n_words));
  }
  seed_contingency_measure (alarms->positions, &alarms->state.position);
}

static guint
set_flags (SeedAnchorAlarms *alarms, guint flags)
{
  alarms->state.flags = flags;
  for (guint i = 0; i < SEED_ANCHOR_N_ALARMS; i++)
    alarms->state.counts[i] += (flags >> i) & 1;
  return flags;
}

guint
seed_anchor_alarms_update (
    SeedAnchorAlarms *alarms, const SeedAnchorsLosses *losses, const real *assignment, guint n)
{
  const SeedAnchorAlarmsConfig *config = &alarms->config;
  gboolean moved = losses->assignment <= log (alarms->n_anchors) - config->stuck_margin;
  guint flags = 0;

  /* a batch without any match says nothing */
  if (losses->n_matched > 0)
    alarms->stuck_for = moved ? 0 : alarms->stuck_for + 1;
  count_positions (alarms, assignment, n);
  if (!(losses->perplexity >= config->min_perplexity))
    flags |= SEED_ANCHOR_ALARM_PERPLEXITY;
  if (alarms->stuck_for >= config->window)
    flags |= SEED_ANCHOR_ALARM_STUCK;
  if (alarms->state.position.adjusted > config->max_position)
    flags |= SEED_ANCHOR_ALARM_POSITION;
  return set_flags (alarms, flags);
}

guint
seed_anchor_alarms_refused (SeedAnchorAlarms *alarms)
{
  alarms->state.flags |= SEED_ANCHOR_ALARM_FRAMES;
  alarms->state.counts[3]++;
  return alarms->state.flags;
}

const SeedAnchorAlarmsState *
seed_anchor_alarms_get (const SeedAnchorAlarms *alarms)
{
  return &alarms->state;
}

const char *
seed_anchor_alarm_name (SeedAnchorAlarm alarm)
{
  for (guint i = 0; i < SEED_ANCHOR_N_ALARMS; i++)
    if (texts[i].alarm == alarm)
      return texts[i].name;
  g_return_val_if_reached (NULL);
}

const char *
seed_anchor_alarm_text (SeedAnchorAlarm alarm)
{
  for (guint i = 0; i < SEED_ANCHOR_N_ALARMS; i++)
    if (texts[i].alarm == alarm)
      return texts[i].text;
  g_return_val_if_reached (NULL);
}
