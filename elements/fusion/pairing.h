/* SPDX-License-Identifier: MIT */
#pragma once

#include <glib.h>

/*
 * Pairs numbered parts of several inputs. Every input gives its numbers in ascending order but may
 * leave some out, and may end early. A number is settled once no input can add to it any more; what
 * is settled leaves in ascending order, complete or not, so nothing is lost unseen.
 * Not thread-safe.
 */
typedef struct _SeedPairing SeedPairing;

typedef struct {
  guint64 number;
  guint n_inputs, n_present;
  guint first; /* the input that gave its part first */
  GDestroyNotify free_part;
  gpointer parts[]; /* by input; NULL where there is none */
} SeedPair;

/* @free_part: frees parts that nobody took. */
SeedPairing *seed_pairing_new (guint n_inputs, GDestroyNotify free_part);
void seed_pairing_free (SeedPairing *pairing);

/*
 * Takes @part (also on failure). @is_first: set when no other input has given this number yet.
 * SEED_ERROR_INVALID when @number is not above the last one of @input, or @input has ended.
 */
gboolean seed_pairing_put (SeedPairing *pairing, guint input, guint64 number, gpointer part,
    gboolean *is_first, GError **error);

/* @input has no more parts. */
void seed_pairing_end (SeedPairing *pairing, guint input);
gboolean seed_pairing_has_ended (const SeedPairing *pairing); /* all inputs */

/* The lowest number held, if it is settled, else NULL. */
SeedPair *seed_pairing_take (SeedPairing *pairing);
/* The lowest number held, settled or not; NULL when nothing is held. */
SeedPair *seed_pairing_take_unsettled (SeedPairing *pairing);
void seed_pair_free (SeedPair *pair);

/* Parts of @input that are held. */
guint seed_pairing_n_held (const SeedPairing *pairing, guint input);
/* Whether a number up to and including @number is held. */
gboolean seed_pairing_holds_up_to (const SeedPairing *pairing, guint64 number);
/* The last number of @input; FALSE when it gave none. */
gboolean seed_pairing_last (const SeedPairing *pairing, guint input, guint64 *number);

/* Frees what is held and lets every input begin anew, from any number. */
void seed_pairing_reset (SeedPairing *pairing);
