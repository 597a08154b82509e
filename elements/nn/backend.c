/* SPDX-License-Identifier: MIT */
#include <seed/error.h>

#include "nn/backend.h"

#define MAX_SIDE 100

/* Small integers: every product and sum is exact in any order. */
static real
pattern (gsize i, guint step)
{
  return (real) ((int) (i * step % 7) - 3);
}

static gboolean
check_one (void (*gemm_serial) (const SeedGemm *), const SeedGemm *gemm)
{
  const real *a = gemm->a, *b = gemm->b;
  real *c = gemm->c;

  for (guint i = 0; i < gemm->m; i++)
    for (guint j = 0; j < gemm->n; j++)
      c[i * gemm->stride_c + j] = pattern (i + j, 3);

  gemm_serial (gemm);

  for (guint i = 0; i < gemm->m; i++)
    for (guint j = 0; j < gemm->n; j++) {
      real expected = gemm->beta * pattern (i + j, 3);

      for (guint l = 0; l < gemm->k; l++)
        expected += gemm->alpha *
                    a[gemm->transpose_a ? l * gemm->stride_a + i : i * gemm->stride_a + l] *
                    b[gemm->transpose_b ? j * gemm->stride_b + l : l * gemm->stride_b + j];
      if (c[i * gemm->stride_c + j] != expected)
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

/* Choosing */

static const char *const precision_names[SEED_N_PRECISIONS] = {
  [SEED_PRECISION_FLOAT32] = "float32",
  [SEED_PRECISION_BFLOAT16] = "bfloat16",
  [SEED_PRECISION_INT8] = "int8",
};

const char *
seed_precision_name (SeedPrecision precision)
{
  g_return_val_if_fail ((guint) precision < SEED_N_PRECISIONS, NULL);
  return precision_names[precision];
}

gboolean
seed_precision_from_name (const char *name, SeedPrecision *precision, GError **error)
{
  for (guint i = 0; i < SEED_N_PRECISIONS; i++)
    if (g_str_equal (name, precision_names[i])) {
      *precision = i;
      return TRUE;
    }
  g_set_error (error, SEED_ERROR, SEED_ERROR_INVALID,
      "precision \"%s\" is not known; use float32, bfloat16, int8 or auto", name);
  return FALSE;
}

static const SeedBackend *
openblas_in (SeedPrecision precision)
{
  return precision == SEED_PRECISION_FLOAT32 ? seed_backend_openblas () : NULL;
}

/* From the best to the one that is always there. */
static const struct {
  const char *name;
  const SeedBackend *(*in) (SeedPrecision precision);
} backends[] = {
#ifndef SEED_REAL_DOUBLE
  { "native", seed_backend_native },
#ifdef SEED_HAVE_ONEDNN
  { "onednn", seed_backend_onednn },
#endif
#endif
  { "openblas", openblas_in },
};

/* The precisions of a backend, ", " between. */
static void
append_precisions (GString *text, const SeedBackend *(*in) (SeedPrecision))
{
  const char *comma = "";

  for (guint p = 0; p < SEED_N_PRECISIONS; p++)
    if (in (p)) {
      g_string_append_printf (text, "%s%s", comma, precision_names[p]);
      comma = ", ";
    }
}

const SeedBackend *
seed_backend_find (const char *name, SeedPrecision precision, GError **error)
{
  g_autoptr (GString) text = g_string_new (NULL);

  for (guint i = 0; i < G_N_ELEMENTS (backends); i++) {
    const SeedBackend *found;

    if (!g_str_equal (backends[i].name, name))
      continue;
    found = backends[i].in (precision);
    if (found)
      return found;
    append_precisions (text, backends[i].in);
    g_set_error (error, SEED_ERROR, SEED_ERROR_UNSUPPORTED,
        "backend %s does not multiply in %s on this processor, in this build or, if it writes code "
        "as it goes, in a sandbox that forbids that (%s%s); use backend auto",
        name, precision_names[precision], text->len ? "it does in " : "in no precision", text->str);
    return NULL;
  }
  for (guint i = 0; i < G_N_ELEMENTS (backends); i++)
    g_string_append_printf (text, "%s, ", backends[i].name);
  g_set_error (error, SEED_ERROR, SEED_ERROR_INVALID, "backend \"%s\" is not known; use %sor auto",
      name, text->str);
  return NULL;
}

/* The first of all that multiplies in @precision. */
static const SeedBackend *
best_in (SeedPrecision precision)
{
  for (guint i = 0; i < G_N_ELEMENTS (backends); i++) {
    const SeedBackend *found = backends[i].in (precision);

    if (found)
      return found;
  }
  return NULL;
}

static gboolean
is_auto (const char *name)
{
  return !name || g_str_equal (name, "auto");
}

/* Of one backend, or of all when @name is NULL. */
static gboolean
has (const char *name, SeedPrecision precision)
{
  return name ? seed_backend_find (name, precision, NULL) != NULL : best_in (precision) != NULL;
}

const SeedBackend *
seed_backend_choose (
    const char *backend, const char *precision, gboolean frozen, char **why, GError **error)
{
  const SeedBackend *chosen;
  const char *reason = "as asked for";
  SeedPrecision type = SEED_PRECISION_FLOAT32;

  if (is_auto (backend))
    backend = NULL;
  if (!is_auto (precision)) {
    if (!seed_precision_from_name (precision, &type, error))
      return NULL;
  } else if (!frozen) {
    reason = "training keeps to float32 unless told otherwise";
  } else if (has (backend, SEED_PRECISION_BFLOAT16)) {
    type = SEED_PRECISION_BFLOAT16;
    reason = "this processor multiplies bfloat16 in hardware and the model is frozen";
  } else {
    reason = "this processor does not multiply bfloat16 in hardware";
  }

  if (!frozen && type == SEED_PRECISION_INT8) {
    g_set_error (error, SEED_ERROR, SEED_ERROR_UNSUPPORTED,
        "precision int8 is for models that do not learn; use bfloat16, float32 or auto");
    return NULL;
  }

  chosen = backend ? seed_backend_find (backend, type, error) : best_in (type);
  if (!chosen) {
    if (!backend)
      g_set_error (error, SEED_ERROR, SEED_ERROR_UNSUPPORTED,
          "no backend multiplies in %s on this processor; use precision float32 or auto",
          precision_names[type]);
    return NULL;
  }
  if (why)
    *why = g_strdup_printf ("%s %s: %s", chosen->name, precision_names[type], reason);
  return chosen;
}

const SeedBackend *
seed_backend_get (void)
{
  return best_in (SEED_PRECISION_FLOAT32);
}
