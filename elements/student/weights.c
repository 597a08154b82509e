/* SPDX-License-Identifier: MIT */
#include <string.h>

#include "student/weights.h"

struct _SeedWeightsHub {
  gatomicrefcount refs;
  GMutex lock;
  GCond changed;
  gboolean is_open, is_closed;
  SeedStudentShape shape;
  guint batch;
  SeedWeights *latest;
  guint64 n_live;   /* frames from sources in all batches the learner is through with */
  GList *followers; /* of SeedWeightsFollower, not owned */
  GQueue history;   /* of Passage, oldest first: what some follower may still ask for. A follower
                     * lags the learner by what the queues between them hold, so it stays short. */
};

struct _SeedWeightsFollower {
  SeedWeightsHub *hub;
  gboolean in_step;
  guint64 n_frames; /* served so far */
  gboolean interrupted;
};

/* The version from frame @due on, until that of the next passage. */
typedef struct {
  guint64 due;
  SeedWeights *weights;
} Passage;

G_DEFINE_BOXED_TYPE (SeedWeightsHub, seed_weights_hub, seed_weights_hub_ref, seed_weights_hub_unref)

SeedWeights *
seed_weights_new (const float *values, gsize n, guint64 step, const char *sha256)
{
  SeedWeights *weights = g_new0 (SeedWeights, 1);

  g_atomic_ref_count_init (&weights->refs);
  weights->step = step;
  weights->n_values = n;
  weights->values = g_aligned_alloc (n, sizeof (float), 64);
  memcpy (weights->values, values, n * sizeof (float));
  g_strlcpy (weights->sha256, sha256 ? sha256 : "", sizeof weights->sha256);
  return weights;
}

SeedWeights *
seed_weights_ref (SeedWeights *weights)
{
  g_atomic_ref_count_inc (&weights->refs);
  return weights;
}

void
seed_weights_unref (SeedWeights *weights)
{
  if (!weights || !g_atomic_ref_count_dec (&weights->refs))
    return;
  g_aligned_free (weights->values);
  g_free (weights);
}

static void
passage_free (gpointer data)
{
  Passage *passage = data;

  seed_weights_unref (passage->weights);
  g_free (passage);
}

SeedWeightsHub *
seed_weights_hub_new (void)
{
  SeedWeightsHub *hub = g_new0 (SeedWeightsHub, 1);

  g_atomic_ref_count_init (&hub->refs);
  g_mutex_init (&hub->lock);
  g_cond_init (&hub->changed);
  g_queue_init (&hub->history);
  return hub;
}

SeedWeightsHub *
seed_weights_hub_ref (SeedWeightsHub *hub)
{
  g_atomic_ref_count_inc (&hub->refs);
  return hub;
}

void
seed_weights_hub_unref (SeedWeightsHub *hub)
{
  if (!hub || !g_atomic_ref_count_dec (&hub->refs))
    return;
  g_queue_clear_full (&hub->history, passage_free);
  seed_weights_unref (hub->latest);
  g_cond_clear (&hub->changed);
  g_mutex_clear (&hub->lock);
  g_free (hub);
}

static void
set_latest_locked (SeedWeightsHub *hub, SeedWeights *weights)
{
  seed_weights_ref (weights);
  seed_weights_unref (hub->latest);
  hub->latest = weights;
}

static void
record_passage_locked (SeedWeightsHub *hub, guint64 due)
{
  Passage *passage = g_new0 (Passage, 1);

  passage->due = due;
  passage->weights = seed_weights_ref (hub->latest);
  g_queue_push_tail (&hub->history, passage);
}

void
seed_weights_hub_open (SeedWeightsHub *hub, const SeedStudentShape *shape, SeedWeights *first)
{
  g_mutex_lock (&hub->lock);
  hub->is_open = TRUE;
  hub->is_closed = FALSE;
  hub->shape = *shape;
  hub->n_live = 0;
  set_latest_locked (hub, first);
  g_queue_clear_full (&hub->history, passage_free);
  record_passage_locked (hub, 0);
  g_cond_broadcast (&hub->changed);
  g_mutex_unlock (&hub->lock);
}

gboolean
seed_weights_hub_get_shape (SeedWeightsHub *hub, SeedStudentShape *shape)
{
  gboolean is_open;

  g_mutex_lock (&hub->lock);
  is_open = hub->is_open;
  *shape = hub->shape;
  g_mutex_unlock (&hub->lock);
  return is_open;
}

void
seed_weights_hub_set_batch (SeedWeightsHub *hub, guint batch)
{
  g_mutex_lock (&hub->lock);
  hub->batch = batch;
  g_cond_broadcast (&hub->changed);
  g_mutex_unlock (&hub->lock);
}

static void
trim_history_locked (SeedWeightsHub *hub)
{
  guint64 needed = G_MAXUINT64;

  for (GList *l = hub->followers; l; l = l->next) {
    const SeedWeightsFollower *follower = l->data;

    if (follower->in_step)
      needed = MIN (needed, follower->n_frames);
  }
  while (hub->history.length > 1 && ((Passage *) hub->history.head->next->data)->due <= needed)
    passage_free (g_queue_pop_head (&hub->history));
}

void
seed_weights_hub_advance (SeedWeightsHub *hub, guint n_live, SeedWeights *weights)
{
  g_mutex_lock (&hub->lock);
  if (weights)
    set_latest_locked (hub, weights);
  /* it began with frame n_live or later, and a batch from there it has ended */
  record_passage_locked (hub, hub->n_live + hub->batch);
  hub->n_live += n_live;
  trim_history_locked (hub);
  g_cond_broadcast (&hub->changed);
  g_mutex_unlock (&hub->lock);
}

void
seed_weights_hub_replace (SeedWeightsHub *hub, SeedWeights *weights)
{
  g_mutex_lock (&hub->lock);
  set_latest_locked (hub, weights);
  /* in the place of the last version, from the next frame on */
  record_passage_locked (hub, ((Passage *) hub->history.tail->data)->due);
  trim_history_locked (hub);
  g_mutex_unlock (&hub->lock);
}

void
seed_weights_hub_close (SeedWeightsHub *hub)
{
  g_mutex_lock (&hub->lock);
  hub->is_closed = TRUE;
  g_cond_broadcast (&hub->changed);
  g_mutex_unlock (&hub->lock);
}

SeedWeights *
seed_weights_hub_get (SeedWeightsHub *hub)
{
  SeedWeights *weights;

  g_mutex_lock (&hub->lock);
  weights = hub->latest ? seed_weights_ref (hub->latest) : NULL;
  g_mutex_unlock (&hub->lock);
  return weights;
}

gboolean
seed_weights_hub_has_followers (SeedWeightsHub *hub)
{
  gboolean has;

  g_mutex_lock (&hub->lock);
  has = hub->followers != NULL;
  g_mutex_unlock (&hub->lock);
  return has;
}

SeedWeightsFollower *
seed_weights_follower_new (SeedWeightsHub *hub, gboolean in_step)
{
  SeedWeightsFollower *follower = g_new0 (SeedWeightsFollower, 1);

  follower->hub = seed_weights_hub_ref (hub);
  follower->in_step = in_step;
  g_mutex_lock (&hub->lock);
  hub->followers = g_list_prepend (hub->followers, follower);
  g_mutex_unlock (&hub->lock);
  return follower;
}

void
seed_weights_follower_free (SeedWeightsFollower *follower)
{
  if (!follower)
    return;
  g_mutex_lock (&follower->hub->lock);
  follower->hub->followers = g_list_remove (follower->hub->followers, follower);
  trim_history_locked (follower->hub);
  g_mutex_unlock (&follower->hub->lock);
  seed_weights_hub_unref (follower->hub);
  g_free (follower);
}

/* Which version the next frame is due is known once the batch size is, and the next batch of the
 * learner begins less than a batch before it. The first frame needs the first version alone. */
static gboolean
next_is_known_locked (const SeedWeightsFollower *follower)
{
  const SeedWeightsHub *hub = follower->hub;

  if (!follower->in_step || hub->is_closed || follower->n_frames == 0)
    return TRUE;
  return hub->batch && hub->n_live + hub->batch > follower->n_frames;
}

static SeedWeights *
version_at_locked (const SeedWeightsHub *hub, guint64 frame)
{
  SeedWeights *weights = NULL;

  for (GList *l = hub->history.head; l; l = l->next) {
    const Passage *passage = l->data;

    if (weights && passage->due > frame)
      break;
    weights = passage->weights;
  }
  return weights ? seed_weights_ref (weights) : NULL;
}

SeedWeights *
seed_weights_follower_next (SeedWeightsFollower *follower)
{
  SeedWeightsHub *hub = follower->hub;
  SeedWeights *weights = NULL;

  g_mutex_lock (&hub->lock);
  while (!follower->interrupted && !next_is_known_locked (follower))
    g_cond_wait (&hub->changed, &hub->lock);
  if (!follower->interrupted) {
    weights = version_at_locked (hub, follower->in_step ? follower->n_frames : G_MAXUINT64);
    follower->n_frames++;
    trim_history_locked (hub);
  }
  g_mutex_unlock (&hub->lock);
  return weights;
}

void
seed_weights_follower_set_interrupted (SeedWeightsFollower *follower, gboolean interrupted)
{
  g_mutex_lock (&follower->hub->lock);
  follower->interrupted = interrupted;
  g_cond_broadcast (&follower->hub->changed);
  g_mutex_unlock (&follower->hub->lock);
}
