/* SPDX-License-Identifier: MIT */
#include <seed/error.h>

#include "nn/backend.h"

#define MAX_SIDE 100

const SeedBackend *
seed_backend_get (void)
{
  return seed_backend_openblas ();
}

/* Small integers: every product and sum is exact in any order. */
static real
pattern (gsize i, guint step)
{
  return (real) ((int) (i * step % 7) - 3);
}

static gboolean
check_one (void (*gemm_serial) (const SeedGemm *), const SeedGemm *gemm)
{
  for (guint i = 0; i < gemm->m; i++)
    for (guint j = 0; j < gemm->n; j++)
      gemm->c[i * gemm->stride_c + j] = pattern (i + j, 3);

  gemm_serial (gemm);

  for (guint i = 0; i < gemm->m; i++)
    for (guint j = 0; j < gemm->n; j++) {
      real expected = gemm->beta * pattern (i + j, 3);

      for (guint l = 0; l < gemm->k; l++)
        expected += gemm->alpha *
                    gemm->a[gemm->transpose_a ? l * gemm->stride_a + i : i * gemm->stride_a + l] *
                    gemm->b[gemm->transpose_b ? j * gemm->stride_b + l : l * gemm->stride_b + j];
      if (gemm->c[i * gemm->stride_c + j] != expected)
        return FALSE;
    }
  return TRUE;
}

gboolean
seed_backend_check_gemm (
    const char *name, void (*gemm_serial) (const SeedGemm *gemm), GError **error)
{
  static const guint shapes[][3] = { { 1, 1, 1 }, { 1, 33, 64 }, { 5, 7, 3 }, { 16, 16, 16 },
    { 17, 64, 49 }, { 31, 47, 100 }, { 64, 96, 32 }, { 100, 65, 77 } };
  g_autofree real *a = g_new (real, MAX_SIDE * MAX_SIDE);
  g_autofree real *b = g_new (real, MAX_SIDE * MAX_SIDE);
  g_autofree real *c = g_new (real, MAX_SIDE * MAX_SIDE);

  for (gsize i = 0; i < MAX_SIDE * MAX_SIDE; i++) {
    a[i] = pattern (i, 2);
    b[i] = pattern (i, 5);
  }
  for (guint s = 0; s < G_N_ELEMENTS (shapes); s++)
    for (guint mode = 0; mode < 8; mode++) {
      SeedGemm gemm = { .transpose_a = mode & 1,
        .transpose_b = (mode & 2) != 0,
        .m = shapes[s][0],
        .n = shapes[s][1],
        .k = shapes[s][2],
        .alpha = 1,
        .beta = (mode & 4) ? 1 : 0,
        .a = a,
        .stride_a = MAX_SIDE,
        .b = b,
        .stride_b = MAX_SIDE,
        .c = c,
        .stride_c = MAX_SIDE };

      if (!check_one (gemm_serial, &gemm)) {
        g_set_error (error, SEED_ERROR, SEED_ERROR_UNSUPPORTED,
            "backend %s: wrong result of a %u x %u x %u matrix product (transposes %d %d) on this "
            "processor; set OPENBLAS_CORETYPE=Haswell in the environment, or install a newer "
            "OpenBLAS",
            name, gemm.m, gemm.n, gemm.k, gemm.transpose_a, gemm.transpose_b);
        return FALSE;
      }
    }
  return TRUE;
}

static gpointer
self_test_once (gpointer unused)
{
  const SeedBackend *backend = seed_backend_get ();
  GError *error = NULL;

  seed_backend_check_gemm (backend->name, backend->gemm_serial, &error);
  return error;
}

gboolean
seed_backend_self_test (GError **error)
{
  static GOnce once = G_ONCE_INIT;
  const GError *failed = g_once (&once, self_test_once, NULL);

  if (!failed)
    return TRUE;
  if (error)
    *error = g_error_copy (failed);
  return FALSE;
}
