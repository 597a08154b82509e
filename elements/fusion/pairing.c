/* SPDX-License-Identifier: MIT */
#include <seed/error.h>

#include "fusion/pairing.h"

typedef struct {
  gboolean started, ended;
  guint64 last; /* once started */
  guint n_held;
} Input;

struct _SeedPairing {
  GDestroyNotify free_part;
  GQueue held; /* of SeedPair, ascending */
  guint n_inputs;
  Input inputs[];
};

SeedPairing *
seed_pairing_new (guint n_inputs, GDestroyNotify free_part)
{
  SeedPairing *pairing = g_malloc0 (sizeof (SeedPairing) + n_inputs * sizeof (Input));

  pairing->n_inputs = n_inputs;
  pairing->free_part = free_part;
  g_queue_init (&pairing->held);
  return pairing;
}

void
seed_pairing_free (SeedPairing *pairing)
{
  if (!pairing)
    return;
  seed_pairing_reset (pairing);
  g_free (pairing);
}

void
seed_pair_free (SeedPair *pair)
{
  if (!pair)
    return;
  for (guint i = 0; i < pair->n_inputs; i++) {
    if (pair->parts[i])
      pair->free_part (pair->parts[i]);
  }
  g_free (pair);
}

/* The pair of @number, inserted in its place when it is new. New numbers come near the end. */
static SeedPair *
find_or_insert (SeedPairing *pairing, guint64 number)
{
  GList *after = pairing->held.tail;
  SeedPair *pair;

  while (after && ((SeedPair *) after->data)->number > number)
    after = after->prev;
  if (after && ((SeedPair *) after->data)->number == number)
    return after->data;

  pair = g_malloc0 (sizeof (SeedPair) + pairing->n_inputs * sizeof (gpointer));
  pair->number = number;
  pair->n_inputs = pairing->n_inputs;
  pair->free_part = pairing->free_part;
  if (after)
    g_queue_insert_after (&pairing->held, after, pair);
  else
    g_queue_push_head (&pairing->held, pair);
  return pair;
}

gboolean
seed_pairing_put (SeedPairing *pairing, guint input, guint64 number, gpointer part,
    gboolean *is_first, GError **error)
{
  Input *in;
  SeedPair *pair;

  g_return_val_if_fail (input < pairing->n_inputs, FALSE);
  in = &pairing->inputs[input];
  if (in->ended || (in->started && number <= in->last)) {
    g_set_error (error, SEED_ERROR, SEED_ERROR_INVALID,
        "batch %" G_GUINT64_FORMAT " came after %s%" G_GUINT64_FORMAT
        "; batches must be numbered upwards",
        number, in->ended ? "the end of the stream, whose last was " : "", in->last);
    pairing->free_part (part);
    return FALSE;
  }
  in->started = TRUE;
  in->last = number;
  in->n_held++;

  pair = find_or_insert (pairing, number);
  *is_first = pair->n_present == 0;
  if (*is_first)
    pair->first = input;
  pair->parts[input] = part;
  pair->n_present++;
  return TRUE;
}

void
seed_pairing_end (SeedPairing *pairing, guint input)
{
  g_return_if_fail (input < pairing->n_inputs);
  pairing->inputs[input].ended = TRUE;
}

gboolean
seed_pairing_has_ended (const SeedPairing *pairing)
{
  for (guint i = 0; i < pairing->n_inputs; i++) {
    if (!pairing->inputs[i].ended)
      return FALSE;
  }
  return TRUE;
}

static gboolean
is_settled (const SeedPairing *pairing, const SeedPair *pair)
{
  for (guint i = 0; i < pairing->n_inputs; i++) {
    const Input *in = &pairing->inputs[i];

    if (!in->ended && (!in->started || in->last < pair->number))
      return FALSE;
  }
  return TRUE;
}

SeedPair *
seed_pairing_take_unsettled (SeedPairing *pairing)
{
  SeedPair *pair = g_queue_pop_head (&pairing->held);

  for (guint i = 0; pair && i < pairing->n_inputs; i++)
    pairing->inputs[i].n_held -= pair->parts[i] != NULL;
  return pair;
}

SeedPair *
seed_pairing_take (SeedPairing *pairing)
{
  SeedPair *head = g_queue_peek_head (&pairing->held);

  return head && is_settled (pairing, head) ? seed_pairing_take_unsettled (pairing) : NULL;
}

guint
seed_pairing_n_held (const SeedPairing *pairing, guint input)
{
  g_return_val_if_fail (input < pairing->n_inputs, 0);
  return pairing->inputs[input].n_held;
}

gboolean
seed_pairing_holds_up_to (const SeedPairing *pairing, guint64 number)
{
  const SeedPair *head = pairing->held.head ? pairing->held.head->data : NULL;

  return head && head->number <= number;
}

gboolean
seed_pairing_last (const SeedPairing *pairing, guint input, guint64 *number)
{
  g_return_val_if_fail (input < pairing->n_inputs, FALSE);
  *number = pairing->inputs[input].last;
  return pairing->inputs[input].started;
}

void
seed_pairing_reset (SeedPairing *pairing)
{
  SeedPair *pair;

  while ((pair = seed_pairing_take_unsettled (pairing)))
    seed_pair_free (pair);
  for (guint i = 0; i < pairing->n_inputs; i++)
    pairing->inputs[i] = (Input){ 0 };
}
