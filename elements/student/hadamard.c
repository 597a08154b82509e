/* SPDX-License-Identifier: MIT */
#include "student/hadamard.h"

static gboolean
is_prime (guint n)
{
  for (guint d = 2; d * d <= n; d++)
    if (n % d == 0)
      return FALSE;
  return n >= 2;
}

/* The quadratic character of every residue modulo a prime: 0, 1 or -1. */
static int *
characters (guint q)
{
  int *chi = g_new (int, q);

  chi[0] = 0;
  for (guint i = 1; i < q; i++)
    chi[i] = -1;
  for (guint64 i = 1; i < q; i++)
    chi[i * i % q] = 1;
  return chi;
}

/* The conference matrix of Paley: zero diagonal, first row ones, first column @sign ones. */
static int
paley (const int *chi, guint q, int sign, guint i, guint j)
{
  if (i == j)
    return 0;
  if (i == 0)
    return 1;
  if (j == 0)
    return sign;
  return chi[(i + q - j) % q];
}

/* q = 3 modulo 4: I + S of order q + 1, with S skew. */
static void
paley_1 (guint q, double *matrix)
{
  g_autofree int *chi = characters (q);
  guint n = q + 1;

  for (guint i = 0; i < n; i++)
    for (guint j = 0; j < n; j++)
      matrix[(gsize) i * n + j] = i == j ? 1 : paley (chi, q, -1, i, j);
}

/* q = 1 modulo 4: every entry of the symmetric conference matrix becomes a block of two by two. */
static void
paley_2 (guint q, double *matrix)
{
  static const int zero[2][2] = { { 1, -1 }, { -1, -1 } }, one[2][2] = { { 1, 1 }, { 1, -1 } };
  g_autofree int *chi = characters (q);
  guint n = 2 * (q + 1);

  for (guint i = 0; i < n; i++)
    for (guint j = 0; j < n; j++) {
      int c = paley (chi, q, 1, i / 2, j / 2);

      matrix[(gsize) i * n + j] = c == 0 ? zero[i % 2][j % 2] : c * one[i % 2][j % 2];
    }
}

/* An order that is not made by doubling. */
static gboolean
build_seed (guint m, double *matrix)
{
  if (m == 1)
    matrix[0] = 1;
  else if (m % 4 == 0 && is_prime (m - 1)) /* m - 1 = 3 modulo 4 */
    paley_1 (m - 1, matrix);
  else if (m % 4 == 0 && is_prime (m / 2 - 1) && (m / 2 - 1) % 4 == 1)
    paley_2 (m / 2 - 1, matrix);
  else
    return FALSE;
  return TRUE;
}

gboolean
seed_hadamard (guint n, double *matrix)
{
  for (guint m = n; m >= 1; m /= 2) {
    g_autofree double *seed = g_new (double, (gsize) m *m);

    if (build_seed (m, seed)) {
      for (guint i = 0; i < n; i++)
        for (guint j = 0; j < n; j++) {
          int sign = __builtin_parity ((i / m) & (j / m)) ? -1 : 1;

          matrix[(gsize) i * n + j] = sign * seed[(gsize) (i % m) * m + j % m];
        }
      return TRUE;
    }
    if (m % 2 != 0)
      break;
  }
  return FALSE;
}
