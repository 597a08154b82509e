/* SPDX-License-Identifier: MIT */
#include <stdlib.h>
#include <string.h>

#include "nn/onednn-compat.h"
#include "nn/onednn.h"

/* Without its header, which not every compiler has: oneDNN's threads are OpenMP's. */
extern void omp_set_num_threads (int n_threads);

#define ALIGN 64
/* Shapes that a thread remembers; a stream has a few dozen. All go when there are more. */
#define MAX_PRODUCTS 512
/* Rows that the order of weights is chosen for. */
#define TYPICAL_ROWS 96
#define MAX_ARGS 6

struct _SeedOnednnWeights {
  SeedDesc desc;
  void *data;
  gsize size;
};

typedef struct {
  SeedOnednnProduct product; /* first: the key */
  dnnl_primitive_t primitive;
  dnnl_memory_t x, w, bias, residual, y, scratch;
  gsize scratch_size;
  dnnl_exec_arg_t args[MAX_ARGS];
  int n_args;
} Entry;

typedef struct {
  GHashTable *entries;
  dnnl_stream_t stream;
  void *scratch;
  gsize scratch_size;
} Thread;

static const dnnl_data_type_t types[] = { [SEED_ONEDNN_F32] = dnnl_f32,
  [SEED_ONEDNN_BF16] = dnnl_bf16,
  [SEED_ONEDNN_U8] = dnnl_u8,
  [SEED_ONEDNN_S8] = dnnl_s8,
  [SEED_ONEDNN_S32] = dnnl_s32 };

static gpointer
make_engine (gpointer unused)
{
  dnnl_engine_t engine = NULL;

  return dnnl_engine_create (&engine, dnnl_cpu, 0) == dnnl_success ? engine : NULL;
}

static dnnl_engine_t
the_engine (void)
{
  static GOnce once = G_ONCE_INIT;

  return g_once (&once, make_engine, NULL);
}

static void
memory_free (dnnl_memory_t memory)
{
  if (memory)
    dnnl_memory_destroy (memory);
}

static void
entry_free (gpointer data)
{
  Entry *entry = data;

  memory_free (entry->x);
  memory_free (entry->w);
  memory_free (entry->bias);
  memory_free (entry->residual);
  memory_free (entry->y);
  memory_free (entry->scratch);
  if (entry->primitive)
    dnnl_primitive_destroy (entry->primitive);
  g_free (entry);
}

static guint
product_hash (gconstpointer key)
{
  const guint8 *bytes = key;
  guint hash = 2166136261u;

  for (gsize i = 0; i < sizeof (SeedOnednnProduct); i++)
    hash = (hash ^ bytes[i]) * 16777619u;
  return hash;
}

static gboolean
product_equal (gconstpointer a, gconstpointer b)
{
  return memcmp (a, b, sizeof (SeedOnednnProduct)) == 0;
}

static void
thread_free (gpointer data)
{
  Thread *thread = data;

  g_hash_table_unref (thread->entries);
  if (thread->stream)
    dnnl_stream_destroy (thread->stream);
  free (thread->scratch);
  g_free (thread);
}

static GPrivate of_thread = G_PRIVATE_INIT (thread_free);

static Thread *
this_thread (void)
{
  Thread *thread = g_private_get (&of_thread);

  if (thread)
    return thread;
  thread = g_new0 (Thread, 1);
  thread->entries = g_hash_table_new_full (product_hash, product_equal, NULL, entry_free);
  omp_set_num_threads (1);
  if (dnnl_stream_create (&thread->stream, the_engine (), dnnl_stream_default_flags) !=
      dnnl_success)
    g_error ("oneDNN cannot make a stream");
  g_private_set (&of_thread, thread);
  return thread;
}

/* Products */

typedef struct {
  SeedDesc x, w, bias, residual, y;
  dnnl_primitive_attr_t attr;
  dnnl_post_ops_t ops;
  dnnl_primitive_desc_t matmul;
} Making;

static void
making_clear (Making *making)
{
  seed_desc_clear (&making->x);
  seed_desc_clear (&making->w);
  seed_desc_clear (&making->bias);
  seed_desc_clear (&making->residual);
  seed_desc_clear (&making->y);
  if (making->ops)
    dnnl_post_ops_destroy (making->ops);
  if (making->attr)
    dnnl_primitive_attr_destroy (making->attr);
  if (making->matmul)
    dnnl_primitive_desc_destroy (making->matmul);
}

static gboolean
describe (SeedDesc *desc, gint64 rows, gint64 columns, SeedOnednnType type, gint64 row_stride,
    gint64 column_stride)
{
  dnnl_dims_t dims = { rows, columns }, strides = { row_stride, column_stride };

  return seed_desc_with_strides (desc, 2, dims, types[type], strides) == dnnl_success;
}

static gboolean
append_activation (dnnl_post_ops_t ops, SeedActivation activation)
{
  static const struct {
    dnnl_alg_kind_t kind;
    float alpha;
  } kinds[] = {
    [SEED_ACTIVATION_GELU] = { dnnl_eltwise_gelu_erf, 0 },
    [SEED_ACTIVATION_GELU_TANH] = { dnnl_eltwise_gelu_tanh, 0 },
    [SEED_ACTIVATION_QUICK_GELU] = { dnnl_eltwise_swish, 1.702f },
    [SEED_ACTIVATION_SILU] = { dnnl_eltwise_swish, 1 },
    [SEED_ACTIVATION_RELU] = { dnnl_eltwise_relu, 0 },
  };

  return seed_append_activation (ops, kinds[activation].kind, kinds[activation].alpha) ==
         dnnl_success;
}

static gboolean
make_attr (const SeedOnednnProduct *p, Making *making)
{
  if (dnnl_primitive_attr_create (&making->attr) != dnnl_success ||
      dnnl_post_ops_create (&making->ops) != dnnl_success ||
      dnnl_primitive_attr_set_scratchpad_mode (making->attr, dnnl_scratchpad_mode_user) !=
          dnnl_success)
    return FALSE;
  if (p->activation && !append_activation (making->ops, (SeedActivation) (p->activation - 1)))
    return FALSE;
  if (p->residual_stride < 0 && seed_append_sum (making->ops) != dnnl_success)
    return FALSE;
  if (p->residual_stride > 0 &&
      (!describe (&making->residual, p->m, p->n, SEED_ONEDNN_F32, p->residual_stride, 1) ||
          dnnl_post_ops_append_binary (
              making->ops, dnnl_binary_add, seed_desc_ref (&making->residual)) != dnnl_success))
    return FALSE;
  return dnnl_primitive_attr_set_post_ops (making->attr, making->ops) == dnnl_success;
}

static gboolean
make_weights_desc (const SeedOnednnProduct *p, const SeedOnednnWeights *weights, Making *making)
{
  dnnl_dims_t dims = { p->k, p->n };

  if (weights)
    return seed_desc_copy (&making->w, seed_desc_ref (&weights->desc)) == dnnl_success;
  if (p->w_strides[0] == 0) /* whatever is best */
    return seed_desc_with_tag (&making->w, 2, dims, types[p->w_type], dnnl_format_tag_any) ==
           dnnl_success;
  return describe (&making->w, p->k, p->n, p->w_type, p->w_strides[0], p->w_strides[1]);
}

static gboolean
make (const SeedOnednnProduct *p, const SeedOnednnWeights *weights, Making *making)
{
  SeedDescRef bias = NULL;

  if (!the_engine () ||
      !describe (&making->x, p->m, p->k, p->x_type, p->x_strides[0], p->x_strides[1]) ||
      !make_weights_desc (p, weights, making) ||
      !describe (&making->y, p->m, p->n, p->y_type, p->y_stride, 1) || !make_attr (p, making))
    return FALSE;
  if (p->has_bias) {
    if (!describe (&making->bias, 1, p->n, SEED_ONEDNN_F32, p->n, 1))
      return FALSE;
    bias = seed_desc_ref (&making->bias);
  }
  return seed_matmul_create (&making->matmul, the_engine (), seed_desc_ref (&making->x),
             seed_desc_ref (&making->w), bias, seed_desc_ref (&making->y),
             making->attr) == dnnl_success;
}

static gboolean
add_memory (Entry *entry, dnnl_memory_t *memory, SeedDescRef desc, int arg)
{
  if (dnnl_memory_create (memory, desc, the_engine (), DNNL_MEMORY_NONE) != dnnl_success)
    return FALSE;
  entry->args[entry->n_args++] = (dnnl_exec_arg_t){ arg, *memory };
  return TRUE;
}

static gboolean
fill_entry (Entry *entry, const Making *making)
{
  const SeedOnednnProduct *p = &entry->product;
  SeedDescRef scratch = dnnl_primitive_desc_query_md (making->matmul, dnnl_query_scratchpad_md, 0);
  int residual_op = DNNL_ARG_ATTR_MULTIPLE_POST_OP (p->activation ? 1 : 0) | DNNL_ARG_SRC_1;

  if (dnnl_primitive_create (&entry->primitive, making->matmul) != dnnl_success)
    return FALSE;
  entry->scratch_size = scratch ? dnnl_memory_desc_get_size (scratch) : 0;
  return add_memory (entry, &entry->x, seed_desc_ref (&making->x), DNNL_ARG_SRC) &&
         add_memory (entry, &entry->w, seed_desc_ref (&making->w), DNNL_ARG_WEIGHTS) &&
         add_memory (entry, &entry->y, seed_desc_ref (&making->y), DNNL_ARG_DST) &&
         (!p->has_bias ||
             add_memory (entry, &entry->bias, seed_desc_ref (&making->bias), DNNL_ARG_BIAS)) &&
         (p->residual_stride <= 0 || add_memory (entry, &entry->residual,
                                         seed_desc_ref (&making->residual), residual_op)) &&
         (entry->scratch_size == 0 ||
             add_memory (entry, &entry->scratch, scratch, DNNL_ARG_SCRATCHPAD));
}

static Entry *
entry_new (const SeedOnednnProduct *p, const SeedOnednnWeights *weights)
{
  Entry *entry = g_new0 (Entry, 1);
  Making making = { 0 };
  gboolean ok;

  entry->product = *p;
  ok = make (p, weights, &making) && fill_entry (entry, &making);
  making_clear (&making);
  if (!ok)
    g_clear_pointer (&entry, entry_free);
  return entry;
}

static Entry *
find_entry (Thread *thread, const SeedOnednnProduct *p, const SeedOnednnWeights *weights)
{
  Entry *entry = g_hash_table_lookup (thread->entries, p);

  if (entry)
    return entry;
  if (g_hash_table_size (thread->entries) >= MAX_PRODUCTS)
    g_hash_table_remove_all (thread->entries);
  entry = entry_new (p, weights);
  if (entry)
    g_hash_table_replace (thread->entries, &entry->product, entry);
  return entry;
}

gboolean
seed_onednn_can (const SeedOnednnProduct *product)
{
  Making making = { 0 };
  gboolean ok = make (product, NULL, &making);

  making_clear (&making);
  return ok;
}

static void
set_scratch (Thread *thread, Entry *entry)
{
  if (entry->scratch_size > thread->scratch_size) {
    free (thread->scratch);
    thread->scratch_size = (entry->scratch_size + ALIGN - 1) / ALIGN * ALIGN;
    thread->scratch = aligned_alloc (ALIGN, thread->scratch_size);
    if (!thread->scratch)
      g_error ("no memory for %" G_GSIZE_FORMAT " bytes of oneDNN's scratch", thread->scratch_size);
  }
  if (entry->scratch)
    dnnl_memory_set_data_handle (entry->scratch, thread->scratch);
}

static void
run (const SeedOnednnProduct *product, const void *x, const void *w, const float *bias,
    const float *residual, void *y)
{
  Thread *thread = this_thread ();
  const SeedOnednnWeights *weights = product->is_packed ? w : NULL;
  Entry *entry = find_entry (thread, product, weights);

  if (!entry)
    g_error ("oneDNN has no product of %" G_GINT64_FORMAT " x %" G_GINT64_FORMAT
             " x %" G_GINT64_FORMAT,
        product->m, product->n, product->k);
  dnnl_memory_set_data_handle (entry->x, (void *) x);
  dnnl_memory_set_data_handle (entry->w, weights ? weights->data : (void *) w);
  dnnl_memory_set_data_handle (entry->y, y);
  if (entry->bias)
    dnnl_memory_set_data_handle (entry->bias, (void *) bias);
  if (entry->residual)
    dnnl_memory_set_data_handle (entry->residual, (void *) residual);
  set_scratch (thread, entry);
  if (dnnl_primitive_execute (entry->primitive, thread->stream, entry->n_args, entry->args) !=
      dnnl_success)
    g_error ("oneDNN failed to multiply");
}

static float
element (SeedOnednnType type, const void *x, gint64 i)
{
  return type == SEED_ONEDNN_BF16 ? seed_bf16_to_float (((const SeedBf16 *) x)[i])
                                  : ((const float *) x)[i];
}

/* A matrix by a vector, neither packed: too little to be worth more than a loop. */
static void
run_vector (const SeedOnednnProduct *p, const void *x, const void *w, void *y)
{
  for (gint64 i = 0; i < p->m; i++)
    for (gint64 j = 0; j < p->n; j++) {
      gint64 at = i * p->y_stride + j;
      float sum = p->residual_stride < 0 ? element (p->y_type, y, at) : 0;

      for (gint64 k = 0; k < p->k; k++)
        sum += element (p->x_type, x, i * p->x_strides[0] + k * p->x_strides[1]) *
               element (p->w_type, w, k * p->w_strides[0] + j * p->w_strides[1]);
      if (p->y_type == SEED_ONEDNN_BF16)
        ((SeedBf16 *) y)[at] = seed_bf16_from_float (sum);
      else
        ((float *) y)[at] = sum;
    }
}

/* Several rows of one output, a row at a time. */
static void
run_rows (const SeedOnednnProduct *product, const void *x, const void *w, const float *bias,
    const float *residual, void *y)
{
  SeedOnednnProduct row = *product;
  gsize x_size = dnnl_data_type_size (types[product->x_type]);
  gsize y_size = dnnl_data_type_size (types[product->y_type]);

  row.m = 1;
  for (gint64 i = 0; i < product->m; i++)
    run (&row, (const char *) x + (gsize) (i * product->x_strides[0]) * x_size, w, bias,
        residual ? residual + i * product->residual_stride : NULL,
        (char *) y + (gsize) (i * product->y_stride) * y_size);
}

/*
 * oneDNN 3.7 takes vectors for dense that are not: a row or column across the rows of memory, a
 * result of one column with gaps. None of these are left to it.
 */
void
seed_onednn_run (const SeedOnednnProduct *product, const void *x, const void *w, const float *bias,
    const float *residual, void *y)
{
  if (!product->is_packed && (product->m == 1 || product->n == 1))
    run_vector (product, x, w, y);
  else if (product->n == 1 && product->m > 1)
    run_rows (product, x, w, bias, residual, y);
  else
    run (product, x, w, bias, residual, y);
}

/* Weights */

static gboolean
reorder (SeedOnednnWeights *weights, SeedDescRef from, const void *data)
{
  dnnl_primitive_desc_t desc = NULL;
  dnnl_primitive_t primitive = NULL;
  dnnl_memory_t x = NULL, y = NULL;
  gboolean ok;

  ok = dnnl_reorder_primitive_desc_create (&desc, from, the_engine (),
           seed_desc_ref (&weights->desc), the_engine (), NULL) == dnnl_success &&
       dnnl_primitive_create (&primitive, desc) == dnnl_success &&
       dnnl_memory_create (&x, from, the_engine (), (void *) data) == dnnl_success &&
       dnnl_memory_create (&y, seed_desc_ref (&weights->desc), the_engine (), weights->data) ==
           dnnl_success;
  if (ok) {
    dnnl_exec_arg_t args[] = { { DNNL_ARG_FROM, x }, { DNNL_ARG_TO, y } };
    ok = dnnl_primitive_execute (primitive, this_thread ()->stream, 2, args) == dnnl_success;
  }
  memory_free (x);
  memory_free (y);
  if (primitive)
    dnnl_primitive_destroy (primitive);
  if (desc)
    dnnl_primitive_desc_destroy (desc);
  return ok;
}

/* The order that a product of a typical number of rows asks for. */
static gboolean
choose_order (SeedOnednnWeights *weights, guint out, guint in, SeedOnednnType type,
    SeedOnednnType x_type, SeedOnednnType y_type)
{
  SeedOnednnProduct p = { .m = TYPICAL_ROWS,
    .n = out,
    .k = in,
    .x_type = x_type,
    .w_type = type,
    .y_type = y_type,
    .x_strides = { in, 1 },
    .y_stride = out };
  Making making = { 0 };
  gboolean ok = make (&p, NULL, &making) &&
                seed_desc_copy (&weights->desc, dnnl_primitive_desc_query_md (making.matmul,
                                                    dnnl_query_weights_md, 0)) == dnnl_success;

  making_clear (&making);
  return ok;
}

SeedOnednnWeights *
seed_onednn_weights_new (guint out, guint in, const void *weight, SeedOnednnType type,
    SeedOnednnType x_type, SeedOnednnType y_type)
{
  SeedOnednnWeights *weights = g_new0 (SeedOnednnWeights, 1);
  SeedDesc from = { 0 };
  gboolean ok;

  ok = choose_order (weights, out, in, type, x_type, y_type) &&
       describe (&from, in, out, type, 1, in);
  if (ok) {
    weights->size =
        (dnnl_memory_desc_get_size (seed_desc_ref (&weights->desc)) + ALIGN - 1) / ALIGN * ALIGN;
    weights->data = aligned_alloc (ALIGN, weights->size);
    ok = weights->data && reorder (weights, seed_desc_ref (&from), weight);
  }
  seed_desc_clear (&from);
  if (!ok)
    g_clear_pointer (&weights, seed_onednn_weights_free);
  return weights;
}

void
seed_onednn_weights_free (SeedOnednnWeights *weights)
{
  if (!weights)
    return;
  seed_desc_clear (&weights->desc);
  free (weights->data);
  g_free (weights);
}

gsize
seed_onednn_weights_bytes (const SeedOnednnWeights *weights)
{
  return sizeof *weights + weights->size;
}
