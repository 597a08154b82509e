/* SPDX-License-Identifier: MIT */
#include <math.h>
#include <string.h>

#include "student/caption-term.h"
#include "student/contrast.h"
#include "student/student.h"

struct _SeedCaptionTerm {
  SeedLayers layers;
  SeedLayer head; /* D -> E */
  gsize scale;    /* offset */
  guint max_items;
  guint *captioned; /* [b]: items with a caption */
  gboolean *same;   /* [m, m] */
  real *texts;      /* [m, D] */
  real *text_z, *text_norms, *d_text_z;
  real *image_z, *d_image_z; /* [m, 2, E] */
  real *scratch;
};

SeedCaptionTerm *
seed_caption_term_new (const SeedParams *params, guint max_items, const SeedBackend *backend)
{
  SeedCaptionTerm *term = g_new0 (SeedCaptionTerm, 1);
  gsize n = max_items, e;

  term->layers = seed_layers (backend);
  term->head = seed_layer_find (params, "text_head");
  term->scale = seed_params_lookup (params, "captions.scale")->offset;
  term->max_items = max_items;
  e = term->head.out;
  term->captioned = g_new0 (guint, n);
  term->same = g_new0 (gboolean, n * n);
  term->texts = seed_reals_new (n * term->head.in);
  term->text_z = seed_reals_new (n * e);
  term->text_norms = seed_reals_new (n);
  term->d_text_z = seed_reals_new (n * e);
  term->image_z = seed_reals_new (SEED_VIEWS * n * e);
  term->d_image_z = seed_reals_new (SEED_VIEWS * n * e);
  term->scratch = seed_reals_new (seed_contrast_scratch_size (max_items));
  return term;
}

void
seed_caption_term_free (SeedCaptionTerm *term)
{
  if (!term)
    return;
  g_free (term->captioned);
  g_free (term->same);
  g_aligned_free (term->texts);
  g_aligned_free (term->text_z);
  g_aligned_free (term->text_norms);
  g_aligned_free (term->d_text_z);
  g_aligned_free (term->image_z);
  g_aligned_free (term->d_image_z);
  g_aligned_free (term->scratch);
  g_free (term);
}

gsize
seed_caption_term_memory_bytes (const SeedCaptionTerm *term)
{
  gsize n = term->max_items, e = term->head.out;
  gsize reals = n * (term->head.in + 2 * e + 1) + 2 * SEED_VIEWS * n * e +
                seed_contrast_scratch_size (term->max_items);

  return reals * sizeof (real) + n * sizeof (guint) + n * n * sizeof (gboolean);
}

/* Items with a caption, side by side; which pairs have the same. Returns their number. */
static guint
gather (SeedCaptionTerm *term, const SeedCaptionTermBatch *batch)
{
  gsize width = term->head.in, e = term->head.out;
  guint m = 0;

  for (guint i = 0; i < batch->b; i++) {
    if (batch->has_caption && !batch->has_caption[i])
      continue;
    memcpy (term->texts + m * width, batch->captions + i * width, width * sizeof (real));
    memcpy (term->image_z + SEED_VIEWS * m * e, batch->z + SEED_VIEWS * i * e,
        SEED_VIEWS * e * sizeof (real));
    term->captioned[m++] = i;
  }
  for (guint i = 0; i < m; i++)
    for (guint j = 0; j < m; j++)
      term->same[i * m + j] = i != j && memcmp (term->texts + i * width, term->texts + j * width,
                                            width * sizeof (real)) == 0;
  return m;
}

static void
backward (
    SeedCaptionTerm *term, const real *values, guint m, double d_scale, real *grads, real *d_z)
{
  guint e = term->head.out;

  grads[term->scale] += (real) d_scale;
  seed_unit_rows_backward (term->text_z, term->text_norms, m, e, term->d_text_z);
  seed_linear_backward (&term->layers, &term->head, values, term->texts, term->head.in,
      term->d_text_z, m, SEED_GRADIENT_ADD, NULL, 0, grads);
  for (guint i = 0; i < m; i++)
    term->layers.kernels->add (term->d_image_z + SEED_VIEWS * (gsize) i * e, SEED_VIEWS * (gsize) e,
        d_z + SEED_VIEWS * (gsize) term->captioned[i] * e);
}

double
seed_caption_term_loss (SeedCaptionTerm *term, const real *values,
    const SeedCaptionTermBatch *batch, double weight, guint *n_captioned, double *scale,
    real *grads, real *d_z)
{
  guint e = term->head.out, m = gather (term, batch);
  double d_scale = 0, loss = 0, log_scale = values[term->scale];

  *n_captioned = m;
  if (m < 2)
    return NAN;
  seed_linear_forward (
      &term->layers, &term->head, values, term->texts, term->head.in, m, term->text_z);
  seed_unit_rows (term->text_z, m, e, term->text_norms);
  memset (term->d_text_z, 0, (gsize) m * e * sizeof (real));
  memset (term->d_image_z, 0, SEED_VIEWS * (gsize) m * e * sizeof (real));
  for (guint v = 0; v < SEED_VIEWS; v++)
    loss += seed_contrast_loss (term->image_z + v * (gsize) e, SEED_VIEWS * (gsize) e, term->text_z,
                term->same, m, e, log_scale, weight / SEED_VIEWS,
                grads ? term->d_image_z + v * (gsize) e : NULL, term->d_text_z, &d_scale,
                term->scratch) /
            SEED_VIEWS;
  *scale = exp (log_scale);
  if (grads)
    backward (term, values, m, d_scale, grads, d_z);
  return loss;
}
