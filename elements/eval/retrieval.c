/* SPDX-License-Identifier: MIT */
#include <string.h>

#include "eval/retrieval.h"

const guint seed_retrieval_recalls[SEED_RETRIEVAL_N_RECALLS] = { 1, 5, 10 };

typedef enum { BY_CLASS, BY_OWNER_OF_QUERY, BY_OWNER_OF_ITEM } Rule;

typedef struct {
  const SeedEvalSet *gallery, *queries;
  Rule rule;
  gboolean leave_one_out;
  const guint *owners;
  double *ap;   /* [queries] */
  guint *first; /* [queries], 0: no answer */
} Search;

static gboolean
is_right (const Search *search, guint query, guint item)
{
  switch (search->rule) {
  case BY_CLASS:
    return search->gallery->labels[item] == search->queries->labels[query];
  case BY_OWNER_OF_QUERY:
    return search->owners[query] == item;
  default:
    return search->owners[item] == query;
  }
}

static void
judge (guint query, float *cosines, guint64 *scratch, gpointer data)
{
  Search *search = data;
  guint n = search->gallery->n, count;
  g_autofree guint8 *relevant = g_new (guint8, n);

  for (guint i = 0; i < n; i++)
    relevant[i] = is_right (search, query, i);
  count =
      seed_eval_order (cosines, n, relevant, search->leave_one_out ? (gint64) query : -1, scratch);
  search->ap[query] = seed_eval_average_precision (scratch, count);
  search->first[query] = seed_eval_first_relevant (scratch, count);
}

static gboolean
summarise (const Search *search, SeedRetrievalResult *result, GError **error)
{
  guint n = search->queries->n;

  *result = (SeedRetrievalResult){ 0 };
  for (guint i = 0; i < n; i++) {
    if (search->first[i] == 0)
      continue;
    result->n_queries++;
    result->map += search->ap[i];
    for (guint r = 0; r < SEED_RETRIEVAL_N_RECALLS; r++)
      result->recall[r] += search->first[i] <= seed_retrieval_recalls[r];
  }
  result->n_without = n - result->n_queries;
  if (result->n_queries == 0) {
    g_set_error (error, SEED_ERROR, SEED_ERROR_INVALID,
        "none of %u queries has an answer in the gallery", n);
    return FALSE;
  }
  result->map /= result->n_queries;
  for (guint r = 0; r < SEED_RETRIEVAL_N_RECALLS; r++)
    result->recall[r] /= result->n_queries;
  return TRUE;
}

static gboolean
run (Search *search, SeedRetrievalResult *result, GError **error)
{
  g_autofree double *ap = g_new0 (double, search->queries->n);
  g_autofree guint *first = g_new0 (guint, search->queries->n);

  search->ap = ap;
  search->first = first;
  return seed_eval_rank (search->queries, search->gallery, judge, search, error) &&
         summarise (search, result, error);
}

gboolean
seed_eval_retrieval (const SeedEvalSet *gallery, const SeedEvalSet *queries,
    SeedRetrievalResult *result, GError **error)
{
  Search search = { .gallery = gallery,
    .queries = queries ? queries : gallery,
    .rule = BY_CLASS,
    .leave_one_out = !queries };

  return seed_eval_check_classes (gallery, "gallery", error) &&
         (!queries || seed_eval_check_classes (queries, "query set", error)) &&
         run (&search, result, error);
}

static gboolean
check_owners (const guint *owners, guint n, guint n_owners, GError **error)
{
  if (n == 0 || n_owners == 0) {
    g_set_error (error, SEED_ERROR, SEED_ERROR_INVALID, "there is nothing to search: %u and %u",
        n_owners, n);
    return FALSE;
  }
  for (guint i = 0; i < n; i++) {
    if (owners[i] >= n_owners) {
      g_set_error (error, SEED_ERROR, SEED_ERROR_INVALID,
          "item %u belongs to item %u of the other side, which has %u", i, owners[i], n_owners);
      return FALSE;
    }
  }
  return TRUE;
}

gboolean
seed_eval_retrieval_owned (const SeedEvalSet *gallery, const SeedEvalSet *queries,
    const guint *owners, SeedRetrievalResult *result, GError **error)
{
  Search search = {
    .gallery = gallery, .queries = queries, .rule = BY_OWNER_OF_QUERY, .owners = owners
  };

  return check_owners (owners, queries->n, gallery->n, error) && run (&search, result, error);
}

gboolean
seed_eval_retrieval_owners (const SeedEvalSet *gallery, const SeedEvalSet *queries,
    const guint *owners, SeedRetrievalResult *result, GError **error)
{
  Search search = {
    .gallery = gallery, .queries = queries, .rule = BY_OWNER_OF_ITEM, .owners = owners
  };

  return check_owners (owners, gallery->n, queries->n, error) && run (&search, result, error);
}

typedef struct {
  float *all; /* [queries, gallery] */
  guint n;
} Pairs;

static void
keep_row (guint query, float *cosines, guint64 *scratch, gpointer data)
{
  const Pairs *pairs = data;

  memcpy (pairs->all + (gsize) query * pairs->n, cosines, pairs->n * sizeof *cosines);
}

gboolean
seed_eval_micro_ap (const SeedEvalSet *gallery, const SeedEvalSet *queries, const guint *owners,
    double *ap, guint64 *n_pairs, GError **error)
{
  guint64 n = (guint64) gallery->n * queries->n;
  g_autofree float *all = NULL;
  g_autofree guint64 *scratch = NULL;
  g_autofree guint8 *relevant = NULL;
  Pairs pairs;

  if (!check_owners (owners, queries->n, gallery->n, error))
    return FALSE;
  if (n > 0x7fffffff) {
    g_set_error (error, SEED_ERROR, SEED_ERROR_LIMIT,
        "%" G_GUINT64_FORMAT " pairs are too many to be ranked together", n);
    return FALSE;
  }
  all = g_new (float, n);
  scratch = g_new (guint64, 2 * n);
  relevant = g_new0 (guint8, n);
  pairs = (Pairs){ all, gallery->n };
  if (!seed_eval_rank (queries, gallery, keep_row, &pairs, error))
    return FALSE;
  for (guint i = 0; i < queries->n; i++)
    relevant[(gsize) i * gallery->n + owners[i]] = 1;
  *ap = seed_eval_average_precision (
      scratch, seed_eval_order (all, (guint) n, relevant, -1, scratch));
  if (n_pairs)
    *n_pairs = n;
  return TRUE;
}
