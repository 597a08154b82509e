/* SPDX-License-Identifier: MIT */
#include <string.h>

#include "student/contrast.h"

gsize
seed_contrast_scratch_size (guint n)
{
  return 2 * (gsize) n * n;
}

/* Cross-entropy of one row or column; adds @scale (q - target) to @d. */
static double
cross_entropy (
    const real *s, const gboolean *same, guint n, gsize stride, guint right, double scale, real *d)
{
  double max = s[right * stride], sum = 0, log_sum;

  for (guint j = 0; j < n; j++)
    if (j == right || !same || !same[j * stride])
      max = MAX (max, (double) s[j * stride]);
  for (guint j = 0; j < n; j++)
    if (j == right || !same || !same[j * stride])
      sum += exp (s[j * stride] - max);
  log_sum = max + log (sum);
  for (guint j = 0; j < n; j++)
    if (j == right || !same || !same[j * stride])
      d[j * stride] += (real) (scale * (exp (s[j * stride] - log_sum) - (j == right)));
  return log_sum - s[right * stride];
}

double
seed_contrast_loss (const real *z, gsize z_stride, const real *t, const gboolean *same, guint n,
    guint dim, double log_scale, double weight, real *d_z, real *d_t, double *d_scale,
    real *scratch)
{
  real *s = scratch, *d_s = s + (gsize) n * n;
  real scale = (real) exp (log_scale);
  int rows = (int) n, width = (int) dim, stride = (int) z_stride;
  double loss = 0;

  real_gemm (CblasRowMajor, CblasNoTrans, CblasTrans, rows, rows, width, scale, z, stride, t, width,
      0, s, rows);
  memset (d_s, 0, (gsize) n * n * sizeof (real));
  for (guint i = 0; i < n; i++) {
    gsize row = (gsize) i * n;

    loss +=
        cross_entropy (s + row, same ? same + row : NULL, n, 1, i, weight / (2.0 * n), d_s + row);
    loss += cross_entropy (s + i, same ? same + i : NULL, n, n, i, weight / (2.0 * n), d_s + i);
  }
  if (!d_z)
    return loss / (2.0 * n);

  for (gsize k = 0; k < (gsize) n * n; k++)
    *d_scale += (double) d_s[k] * s[k];
  real_gemm (CblasRowMajor, CblasNoTrans, CblasNoTrans, rows, width, rows, scale, d_s, rows, t,
      width, 1, d_z, stride);
  real_gemm (CblasRowMajor, CblasTrans, CblasNoTrans, rows, width, rows, scale, d_s, rows, z,
      stride, 1, d_t, width);
  return loss / (2.0 * n);
}
