/* SPDX-License-Identifier: MIT */
/*
 * Every kernel of every table this CPU can run, on the arrays of a ViT-S/16 at 224 (197 tokens of
 * 384), or of a 1080p frame:
 *   bench-kernels [--json FILE] [ROUNDS]
 * prints ns a call, the bytes it reads and writes per ns (GB/s), and how many times faster than the
 * scalar table it is. Tables take turns; times are medians over the rounds. One thread.
 */
#include <string.h>

#include "bench-util.h"
#include "nn/kernels.h"
#include "patchify/resample.h"

#define DEFAULT_ROUNDS 15
#define ROUND_NS 1e6 /* about, of one kernel of one table */
#define TOKENS 197u
#define DIM 384u
#define HIDDEN 1536u
#define WORDS 196u
#define CHANNEL 256u
#define N ((gsize) TOKENS * HIDDEN)
#define WIDTH 1920u
#define ROWS 12u
#define OUT 224u

typedef struct {
  real *x, *y, *z, *gamma, *beta, *mean, *rstd;
  guint16 *half;
  guint8 *bytes;
  gint16 *mids, *out;
  guint8 *rgb[3];
  const gint16 *rows[ROWS];
  gint16 weights[ROWS];
  SeedAxis axis;
  SeedColour colour;
} Data;

typedef struct {
  const SeedKernels *nn;
  const SeedResampleKernels *resample;
} Table;

typedef struct {
  const char *name;
  double bytes; /* read and written */
  void (*call) (const Table *table, Data *d);
} Kernel;

static const float word_scale[3] = { 0.017f, 0.0175f, 0.0174f };
static const float word_shift[3] = { -2.1f, -2.0f, -1.8f };
static const SeedAdamWStep adamw_step = { .beta1 = 0.9f,
  .beta2 = 0.95f,
  .rest1 = 0.1f,
  .rest2 = 0.05f,
  .eps = 1e-8f,
  .rate = 1e-6f,
  .v_scale = 1.1f };

#define CALL(name, expression)                                                                     \
  static void call_##name (const Table *t, Data *d)                                                \
  {                                                                                                \
    expression;                                                                                    \
  }

CALL (norm_forward,
    t->nn->norm_forward (d->x, TOKENS, DIM, d->gamma, d->beta, 1e-6, d->y, d->mean, d->rstd))
CALL (norm_apply, t->nn->norm_apply (d->x, TOKENS, DIM, d->gamma, d->beta, d->mean, d->rstd, d->y))
CALL (norm_backward, t->nn->norm_backward (d->x, TOKENS, DIM, d->gamma, d->mean, d->rstd, d->y,
                         d->z, d->z + N - DIM, d->z + N - 2 * DIM))
CALL (softmax, t->nn->softmax (d->y, TOKENS, TOKENS, 0.125f))
CALL (softmax_backward, t->nn->softmax_backward (d->x, TOKENS, TOKENS, 0.125f, d->y))
CALL (gelu, t->nn->activation[SEED_ACTIVATION_GELU](d->x, N, d->y))
CALL (gelu_tanh, t->nn->activation[SEED_ACTIVATION_GELU_TANH](d->x, N, d->y))
CALL (quick_gelu, t->nn->activation[SEED_ACTIVATION_QUICK_GELU](d->x, N, d->y))
CALL (silu, t->nn->activation[SEED_ACTIVATION_SILU](d->x, N, d->y))
CALL (relu, t->nn->activation[SEED_ACTIVATION_RELU](d->x, N, d->y))
CALL (gelu_backward, t->nn->activation_backward[SEED_ACTIVATION_GELU](d->x, d->y, N, d->z, d->y))
CALL (gelu_tanh_backward,
    t->nn->activation_backward[SEED_ACTIVATION_GELU_TANH](d->x, d->y, N, d->z, d->y))
CALL (quick_gelu_backward,
    t->nn->activation_backward[SEED_ACTIVATION_QUICK_GELU](d->x, d->y, N, d->z, d->y))
CALL (silu_backward, t->nn->activation_backward[SEED_ACTIVATION_SILU](d->x, d->y, N, d->z, d->y))
CALL (relu_backward, t->nn->activation_backward[SEED_ACTIVATION_RELU](d->x, d->y, N, d->z, d->y))
CALL (add, t->nn->add (d->x, N, d->y))
CALL (add_scaled, t->nn->add_scaled (d->x, N, 1e-6f, d->y))
CALL (scale, t->nn->scale (d->y, N, 1.0000001f))
CALL (column_sum, t->nn->column_sum (d->x, DIM, TOKENS, DIM, d->y))
CALL (words, t->nn->words (d->bytes, WORDS, CHANNEL, word_scale, word_shift, d->y))
CALL (words_bf16, t->nn->words_bf16 (d->bytes, WORDS, CHANNEL, word_scale, word_shift, d->half))
CALL (to_bf16, t->nn->to_bf16 ((const float *) d->x, N, d->half))
CALL (from_bf16, t->nn->from_bf16 (d->half, N, (float *) d->y))
CALL (row_norms, t->nn->row_norms (d->x, DIM, TOKENS, DIM, d->mean))
CALL (squares, d->mean[0] = (real) t->nn->squares (d->x, N))
CALL (average, t->nn->average (d->x, N, 0.001f, d->y))
CALL (adamw, t->nn->adamw (&adamw_step, d->x, N / 4, 1e-6f, d->y, d->z, d->z + N / 2))
CALL (sinkhorn, t->nn->sinkhorn (d->y, TOKENS, 256, 0.05f, 3, d->z))
CALL (unpack2, t->resample->unpack (d->out, d->bytes, 2, WIDTH / 2))
CALL (unpack3, t->resample->unpack (d->out, d->bytes, 3, WIDTH))
CALL (unpack4, t->resample->unpack (d->out, d->bytes, 4, WIDTH))
CALL (pick2, t->resample->pick (d->out, d->mids, 2, WIDTH / 2))
CALL (pick3, t->resample->pick (d->out, d->mids, 3, WIDTH))
CALL (across, t->resample->across (d->out, d->mids, &d->axis))
CALL (down, t->resample->down (d->out, d->rows, d->weights, ROWS, WIDTH, 16))
CALL (down_bytes, t->resample->down_bytes (d->out, d->bytes, WIDTH, d->weights, ROWS, 0, WIDTH, 12))
CALL (levels, t->resample->levels (d->rgb[0], d->mids, OUT, &d->colour))
CALL (yuv, t->resample->yuv (d->rgb, d->rows, OUT, &d->colour))

#define F sizeof (real)
static const Kernel kernels[] = {
  { "norm_forward", 2.0 * TOKENS *DIM *F, call_norm_forward },
  { "norm_apply", 2.0 * TOKENS *DIM *F, call_norm_apply },
  { "norm_backward", 4.0 * TOKENS *DIM *F, call_norm_backward },
  { "softmax", 2.0 * TOKENS *TOKENS *F, call_softmax },
  { "softmax_backward", 3.0 * TOKENS *TOKENS *F, call_softmax_backward },
  { "gelu", 2.0 * N *F, call_gelu },
  { "gelu_tanh", 2.0 * N *F, call_gelu_tanh },
  { "quick_gelu", 2.0 * N *F, call_quick_gelu },
  { "silu", 2.0 * N *F, call_silu },
  { "relu", 2.0 * N *F, call_relu },
  { "gelu_backward", 4.0 * N *F, call_gelu_backward },
  { "gelu_tanh_backward", 4.0 * N *F, call_gelu_tanh_backward },
  { "quick_gelu_backward", 4.0 * N *F, call_quick_gelu_backward },
  { "silu_backward", 4.0 * N *F, call_silu_backward },
  { "relu_backward", 4.0 * N *F, call_relu_backward },
  { "add", 3.0 * N *F, call_add },
  { "add_scaled", 3.0 * N *F, call_add_scaled },
  { "scale", 2.0 * N *F, call_scale },
  { "column_sum", 1.0 * TOKENS *DIM *F, call_column_sum },
  { "words", 3.0 * WORDS *CHANNEL *(1 + F), call_words },
  { "words_bf16", 3.0 * WORDS *CHANNEL * 3, call_words_bf16 },
  { "to_bf16", 6.0 * N, call_to_bf16 },
  { "from_bf16", 6.0 * N, call_from_bf16 },
  { "row_norms", 1.0 * TOKENS *DIM *F, call_row_norms },
  { "squares", 1.0 * N *F, call_squares },
  { "average", 3.0 * N *F, call_average },
  { "adamw", 7.0 * (N / 4) * F, call_adamw },
  { "sinkhorn", 2.0 * TOKENS * 256 * F, call_sinkhorn },
  { "unpack NV12 chroma", 2.0 * WIDTH, call_unpack2 },
  { "unpack RGB", 5.0 * WIDTH, call_unpack3 },
  { "unpack RGBx", 6.0 * WIDTH, call_unpack4 },
  { "pick of 2", 3.0 * WIDTH, call_pick2 },
  { "pick of 3", 8.0 * WIDTH, call_pick3 },
  { "across", 2.0 * (WIDTH + OUT), call_across },
  { "down", 2.0 * WIDTH *(ROWS + 1), call_down },
  { "down_bytes", 1.0 * WIDTH *(ROWS + 2), call_down_bytes },
  { "levels", 3.0 * OUT, call_levels },
  { "yuv", 9.0 * OUT, call_yuv },
};

static gpointer
array (gsize bytes)
{
  gpointer memory = aligned_alloc (64, (bytes + 127) / 64 * 64);

  memset (memory, 0, bytes);
  return memory;
}

static void
data_init (Data *d)
{
  *d = (Data){ .x = array (N * F),
    .y = array (N * F),
    .z = array (N * F),
    .gamma = array (DIM * F),
    .beta = array (DIM * F),
    .mean = array (TOKENS * F),
    .rstd = array (TOKENS * F),
    .half = array (N * sizeof (guint16)),
    .bytes = array (3 * WORDS * CHANNEL),
    .mids = array (sizeof (gint16) * WIDTH * (ROWS + 1)),
    .out = array (sizeof (gint16) * WIDTH) };
  for (guint p = 0; p < 3; p++)
    d->rgb[p] = array (OUT);
  for (guint k = 0; k < ROWS; k++) {
    d->rows[k] = d->mids + (gsize) k * WIDTH;
    d->weights[k] = 65536 / ROWS;
  }
  for (gsize i = 0; i < 3 * WORDS * CHANNEL; i++)
    d->bytes[i] = (guint8) (i * 2654435761u >> 13);
  for (gsize i = 0; i < WIDTH * ROWS; i++)
    d->mids[i] = (gint16) (i * 2654435761u % (SEED_MID_MAX + 1));
  for (guint i = 0; i < DIM; i++)
    d->gamma[i] = 1;
  seed_axis_build (&d->axis, WIDTH, 0, WIDTH, OUT, SEED_FILTER_BILINEAR, SEED_PASS_SECOND);
  seed_colour_init (&d->colour, 0.2126, 0.0722, FALSE);
}

/* The same values before each kernel: some kernels work in place. */
static void
data_reset (Data *d)
{
  for (gsize i = 0; i < N; i++) {
    d->x[i] = (real) ((double) (i * 2654435761u % 8001) / 1000.0 - 4.0);
    d->y[i] = (real) ((double) (i % 61) / 61.0);
    d->z[i] = (real) ((double) (i % 53) / 53.0);
  }
}

static void
data_clear (Data *d)
{
  gpointer arrays[] = { d->x, d->y, d->z, d->gamma, d->beta, d->mean, d->rstd, d->half, d->bytes,
    d->mids, d->out, d->rgb[0], d->rgb[1], d->rgb[2] };

  for (guint i = 0; i < G_N_ELEMENTS (arrays); i++)
    free (arrays[i]);
  seed_axis_clear (&d->axis);
}

static double
run (const Kernel *kernel, const Table *table, Data *d, guint calls)
{
  double start = bench_clock (CLOCK_THREAD_CPUTIME_ID);

  for (guint i = 0; i < calls; i++)
    kernel->call (table, d);
  return (bench_clock (CLOCK_THREAD_CPUTIME_ID) - start) / calls;
}

static void
bench (JsonBuilder *json, const Kernel *kernel, const Table *tables, guint n, Data *d, guint rounds)
{
  g_autofree double *ns = g_new (double, (gsize) rounds *n);
  guint calls[SEED_N_CPU_LEVELS];
  double scalar = 0;

  data_reset (d);
  for (guint t = 0; t < n; t++) {
    double once = run (kernel, &tables[t], d, 2);

    calls[t] = (guint) CLAMP (ROUND_NS / once, 1, 1e6);
  }
  for (guint round = 0; round < rounds; round++)
    for (guint t = 0; t < n; t++)
      ns[t * rounds + round] = run (kernel, &tables[t], d, calls[t]);
  for (guint t = 0; t < n; t++) {
    double median = bench_median (ns + (gsize) t * rounds, rounds);

    scalar = t == 0 ? median : scalar;
    printf ("%-22s %-8s %12.0f %10.2f %9.2f\n", t == 0 ? kernel->name : "", tables[t].nn->name,
        median, kernel->bytes / median, scalar / median);
    json_builder_begin_object (json);
    bench_json_string (json, "kernel", kernel->name);
    bench_json_string (json, "table", tables[t].nn->name);
    bench_json_number (json, "ns", median);
    bench_json_number (json, "gb_per_s", kernel->bytes / median);
    bench_json_number (json, "ratio_to_scalar", scalar / median);
    json_builder_end_object (json);
  }
}

int
main (int argc, char **argv)
{
  const char *path = bench_take_json (&argc, argv);
  guint rounds = argc > 1 ? (guint) MAX (1, atoi (argv[1])) : DEFAULT_ROUNDS, n = 0;
  JsonBuilder *json = bench_json_begin ("kernels");
  Table tables[SEED_N_CPU_LEVELS];
  Data data;

  for (guint level = 0; level <= MIN (seed_cpu_best_level (), SEED_CPU_AVX512); level++)
    tables[n++] = (Table){ seed_kernels_for ((SeedCpuLevel) level),
      seed_resample_kernels_for ((SeedCpuLevel) level) };
  data_init (&data);
  printf ("%-22s %-8s %12s %10s %9s\n", "kernel", "table", "ns", "GB/s", "x scalar");
  for (guint k = 0; k < G_N_ELEMENTS (kernels); k++)
    bench (json, &kernels[k], tables, n, &data, rounds);
  data_clear (&data);
  bench_json_end (json, path);
  return 0;
}
