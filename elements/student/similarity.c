/* SPDX-License-Identifier: MIT */
#include <string.h>

#include "student/similarity.h"

gsize
seed_similarity_scratch_size (guint b)
{
  return 2 * (gsize) b * b * sizeof (real);
}

/* KL(P|Q) of one distribution over @n pairs, @stride apart; adds (Q - P) * @scale to @d_s. */
static double
kl_divergence (
    const float *f, const real *s, guint n, gsize stride, double tau, double scale, real *d_s)
{
  double max_f = -INFINITY, max_s = -INFINITY, sum_p = 0, sum_q = 0, kl = 0;

  for (guint j = 0; j < n; j++) {
    if (isinf (f[j * stride]))
      continue;
    max_f = MAX (max_f, (double) f[j * stride]);
    max_s = MAX (max_s, (double) s[j * stride]);
  }
  for (guint j = 0; j < n; j++) {
    if (isinf (f[j * stride]))
      continue;
    sum_p += exp ((f[j * stride] - max_f) / tau);
    sum_q += exp ((s[j * stride] - max_s) / tau);
  }
  for (guint j = 0; j < n; j++) {
    double log_p, log_q;

    if (isinf (f[j * stride]))
      continue;
    log_p = (f[j * stride] - max_f) / tau - log (sum_p);
    log_q = (s[j * stride] - max_s) / tau - log (sum_q);
    kl += exp (log_p) * (log_p - log_q);
    d_s[j * stride] += (real) (scale * (exp (log_q) - exp (log_p)));
  }
  return kl;
}

double
seed_similarity_loss (
    const real *z, const float *target, guint b, guint dim, double tau, real *d_z, void *scratch)
{
  const real *z0 = z, *z1 = z + dim;
  real *s = scratch, *d_s = s + (gsize) b * b;
  double loss = 0, scale = 1.0 / (tau * b);
  int n = (int) b, d = (int) dim, row = 2 * d;

  real_gemm (CblasRowMajor, CblasNoTrans, CblasTrans, n, n, d, 1, z0, row, z1, row, 0, s, n);
  memset (d_s, 0, (gsize) b * b * sizeof (real));
  for (guint i = 0; i < b; i++) {
    gsize first = (gsize) i * b;

    loss += kl_divergence (target + first, s + first, b, 1, tau, scale, d_s + first);
    loss += kl_divergence (target + i, s + i, b, b, tau, scale, d_s + i);
  }
  if (d_z) {
    real_gemm (CblasRowMajor, CblasNoTrans, CblasNoTrans, n, d, n, 1, d_s, n, z1, row, 0, d_z, row);
    real_gemm (
        CblasRowMajor, CblasTrans, CblasNoTrans, n, d, n, 1, d_s, n, z0, row, 0, d_z + dim, row);
  }
  return loss / b;
}
