/* SPDX-License-Identifier: MIT */
#include <math.h>
#include <string.h>

#include "eval/knn.h"

#define N_TOP 5u

typedef struct {
  const SeedEvalSet *train;
  const gint32 *truth; /* of the queries */
  gboolean leave_one_out;
  guint k, n_classes;
  double temperature;
  guint8 *place; /* [queries]: of the true class among the votes, from 1; 0: not in the first 5 */
} Voting;

/* The @k items of the highest cosines into @nearest, best first. Returns how many there are. */
static guint
find_nearest (const float *cosines, guint n, gint64 skip, guint k, guint *nearest)
{
  guint count = 0;

  for (guint i = 0; i < n; i++) {
    guint at;

    if (i == skip || (count == k && !(cosines[i] > cosines[nearest[k - 1]])))
      continue;
    at = count < k ? count++ : k - 1;
    while (at > 0 && cosines[i] > cosines[nearest[at - 1]]) {
      nearest[at] = nearest[at - 1];
      at--;
    }
    nearest[at] = i;
  }
  return count;
}

/* 1 + the classes with more votes, or as many and a lower index. A class needs a vote. */
static guint8
place_of (const double *votes, guint n_classes, gint32 truth)
{
  guint place = 1;

  if ((guint) truth >= n_classes || votes[truth] == 0)
    return 0;
  for (guint c = 0; c < n_classes && place <= N_TOP; c++)
    place += votes[c] > votes[truth] || (votes[c] == votes[truth] && c < (guint) truth);
  return place <= N_TOP ? (guint8) place : 0;
}

static void
vote (guint query, float *cosines, guint64 *scratch, gpointer data)
{
  Voting *voting = data;
  g_autofree guint *nearest = g_new (guint, voting->k);
  g_autofree double *votes = g_new0 (double, voting->n_classes);
  guint n = find_nearest (
      cosines, voting->train->n, voting->leave_one_out ? (gint64) query : -1, voting->k, nearest);

  /* exp ((cos - 1) / T): all weights by one factor smaller, so that no T overflows */
  for (guint i = 0; i < n; i++)
    votes[voting->train->labels[nearest[i]]] +=
        exp (((double) cosines[nearest[i]] - 1) / voting->temperature);
  voting->place[query] = place_of (votes, voting->n_classes, voting->truth[query]);
}

static gboolean
check (
    const SeedEvalSet *train, const SeedEvalSet *test, const SeedKnnConfig *config, GError **error)
{
  if (config->k < 1 || config->k > SEED_KNN_MAX_K || !isfinite (config->temperature) ||
      config->temperature <= 0) {
    g_set_error (error, SEED_ERROR, SEED_ERROR_INVALID,
        "k is %u and the temperature %g; expected 1 to %u and a number above 0", config->k,
        config->temperature, SEED_KNN_MAX_K);
    return FALSE;
  }
  return seed_eval_check_classes (train, "training set", error) &&
         (!test || seed_eval_check_classes (test, "test set", error));
}

gboolean
seed_eval_knn (const SeedEvalSet *train, const SeedEvalSet *test, const SeedKnnConfig *config,
    SeedKnnResult *result, GError **error)
{
  const SeedEvalSet *queries = test ? test : train;
  Voting voting = { .train = train, .truth = queries->labels, .leave_one_out = !test };
  g_autofree guint8 *place = NULL;
  guint top1 = 0, top5 = 0;

  if (!check (train, test, config, error))
    return FALSE;
  voting.k = MIN (config->k, test ? train->n : train->n - 1);
  voting.n_classes = seed_eval_n_classes (train);
  voting.temperature = config->temperature;
  voting.place = place = g_new0 (guint8, queries->n);
  if (!seed_eval_rank (queries, train, vote, &voting, error))
    return FALSE;
  for (guint i = 0; i < queries->n; i++) {
    top1 += place[i] == 1;
    top5 += place[i] > 0;
  }
  *result = (SeedKnnResult){ voting.k, queries->n, (double) top1 / queries->n,
    (double) top5 / queries->n };
  return TRUE;
}
