/* SPDX-License-Identifier: MIT */
#include <seed/error.h>
#include <string.h>

#include "student/generations.h"
#include "student/student-files.h"
#include "student/trainer-private.h"

#define MODEL_FILE "model.safetensors"
#define STATE_FILE "state.safetensors"
#define STATE_FORMAT "seed.student.state.v2"
#define RNG_DIGITS 16 /* of each of its four words */
#define MAX_STATE_TENSORS (4 + 5 * SEED_LEARNER_MAX_TEACHERS + SEED_PROBE_MAX_SLOTS)

static const char *const generation_files[] = { "config.json", "preprocessor_config.json",
  "model.safetensors", STATE_FILE, NULL };
const char *const seed_student_shown_files[] = { "config.json", "preprocessor_config.json",
  "model.safetensors", NULL };

/* ---- what is in a state ---- */

/* A named array, in memory and in the file. */
typedef struct {
  char name[64];
  float *data;
  guint n_dims;
  guint64 shape[2];
} StateArray;

static void
add_array (GArray *arrays, const char *name, float *data, guint n_dims, gsize rows, gsize columns)
{
  StateArray array = { .data = data, .n_dims = n_dims, .shape = { rows, columns } };

  g_strlcpy (array.name, name, sizeof array.name);
  g_array_append_val (arrays, array);
}

static void
add_standardise (GArray *arrays, guint t, const char *what, SeedStandardise *standardise)
{
  g_autofree char *weight = g_strdup_printf ("teacher.%u.%s.weight", t, what);
  g_autofree char *bias = g_strdup_printf ("teacher.%u.%s.bias", t, what);

  if (!standardise)
    return;
  add_array (arrays, weight, standardise->weight, 2, standardise->dim, standardise->dim);
  add_array (arrays, bias, standardise->bias, 1, standardise->dim, 0);
}

/* Everything but the queues, whose length changes. */
static GArray *
state_arrays (const SeedTrainer *trainer)
{
  GArray *arrays = g_array_new (FALSE, TRUE, sizeof (StateArray));
  gsize total = trainer->params.total;

  add_array (arrays, "values", trainer->values, 1, total, 0);
  add_array (arrays, "moment1", trainer->moment1, 1, total, 0);
  add_array (arrays, "moment2", trainer->moment2, 1, total, 0);
  add_array (arrays, "ema", trainer->ema, 1, total, 0);
  for (guint t = 0; t < trainer->n_teachers; t++) {
    add_standardise (arrays, t, "summary", trainer->teachers[t].summary);
    add_standardise (arrays, t, "tokens", trainer->teachers[t].tokens);
  }
  return arrays;
}

static void
add_queues (const SeedTrainer *trainer, GArray *arrays)
{
  for (guint t = 0; t < trainer->n_teachers; t++) {
    const SeedEmbedQueue *queue = &trainer->queues[t];
    g_autofree char *name = g_strdup_printf ("teacher.%u.queue", t);

    if (queue->count > 0)
      add_array (arrays, name, queue->rows, 2, queue->count, queue->dim);
  }
}

/* A fingerprint of the parameter table: a state fits a student of the same table alone. */
static char *
params_fingerprint (const SeedParams *params)
{
  g_autoptr (GChecksum) checksum = g_checksum_new (G_CHECKSUM_SHA256);

  for (guint i = 0; i < params->n; i++) {
    const SeedParam *param = &params->items[i];
    g_autofree char *line = g_strdup_printf (
        "%s %" G_GSIZE_FORMAT " %" G_GSIZE_FORMAT "\n", param->name, param->offset, param->size);

    g_checksum_update (checksum, (const guchar *) line, -1);
  }
  return g_strdup (g_checksum_get_string (checksum));
}

/* ---- saving ---- */

static void
set_teacher_text (GHashTable *metadata, guint t, const char *key, const char *value)
{
  g_hash_table_insert (metadata, g_strdup_printf ("teacher.%u.%s", t, key), g_strdup (value));
}

static void
set_teacher_number (GHashTable *metadata, guint t, const char *key, guint64 value)
{
  g_autofree char *text = g_strdup_printf ("%" G_GUINT64_FORMAT, value);

  set_teacher_text (metadata, t, key, text);
}

static GHashTable *
make_metadata (const SeedTrainer *trainer)
{
  GHashTable *metadata = g_hash_table_new_full (g_str_hash, g_str_equal, g_free, g_free);
  const guint64 *s = trainer->rng.s;

  g_hash_table_insert (metadata, g_strdup ("format"), g_strdup (STATE_FORMAT));
  g_hash_table_insert (
      metadata, g_strdup ("step"), g_strdup_printf ("%" G_GUINT64_FORMAT, trainer->step));
  g_hash_table_insert (metadata, g_strdup ("params"), params_fingerprint (&trainer->params));
  g_hash_table_insert (metadata, g_strdup ("rng"),
      g_strdup_printf ("%016" G_GINT64_MODIFIER "x%016" G_GINT64_MODIFIER "x%016" G_GINT64_MODIFIER
                       "x%016" G_GINT64_MODIFIER "x",
          s[0], s[1], s[2], s[3]));
  if (*trainer->text_sha256)
    g_hash_table_insert (metadata, g_strdup ("text-model"), g_strdup (trainer->text_sha256));
  g_hash_table_insert (
      metadata, g_strdup ("teachers"), g_strdup_printf ("%u", trainer->n_teachers));
  for (guint t = 0; t < trainer->n_teachers; t++) {
    const SeedTrainerTeacherState *teacher = &trainer->teachers[t];

    set_teacher_text (metadata, t, "name", teacher->info.name);
    set_teacher_text (metadata, t, "space", teacher->info.space);
    set_teacher_number (metadata, t, "summary-dim", teacher->info.summary_dim);
    set_teacher_number (metadata, t, "token-dim", teacher->info.token_dim);
    set_teacher_number (metadata, t, "grid", teacher->info.grid);
    set_teacher_number (metadata, t, "queue-size", trainer->queues[t].capacity);
    set_teacher_number (metadata, t, "queue-next", trainer->queues[t].next);
    set_teacher_number (
        metadata, t, "calibrated", teacher->summary ? teacher->summary->n_samples : 0);
  }
  return metadata;
}

static gboolean
save_state (SeedTrainer *trainer, const char *folder, GError **error)
{
  g_autofree char *path = g_build_filename (folder, STATE_FILE, NULL);
  g_autoptr (GHashTable) metadata = make_metadata (trainer);
  g_autoptr (GArray) arrays = state_arrays (trainer);
  SeedTensor tensors[MAX_STATE_TENSORS];
  guint n_more;

  add_queues (trainer, arrays);
  for (guint i = 0; i < arrays->len; i++) {
    const StateArray *array = &g_array_index (arrays, StateArray, i);
    gsize n = array->shape[0] * (array->n_dims == 2 ? array->shape[1] : 1);

    tensors[i] = (SeedTensor){ .name = array->name,
      .dtype = SEED_DTYPE_F32,
      .n_dims = array->n_dims,
      .shape = { array->shape[0], array->shape[1] },
      .data = array->data,
      .size = n * sizeof (float) };
  }
  n_more = seed_trainer_add_probe_state (trainer, metadata, tensors + arrays->len);
  return seed_safetensors_write (path, tensors, arrays->len + n_more, metadata, error);
}

static gboolean
write_generation (SeedTrainer *trainer, const char *path, GError **error)
{
  return seed_student_save (
             path, &trainer->config.learner.shape, &trainer->params, trainer->ema, error) &&
         save_state (trainer, path, error);
}

gboolean
seed_trainer_save_candidate (
    SeedTrainer *trainer, const char *folder, guint *number, char *sha256, GError **error)
{
  g_autoptr (GArray) before = seed_generations_list (folder);
  g_autofree char *path = seed_generation_begin (folder, error);

  if (!path)
    return FALSE;
  *number = MAX (trainer->generation, before->len ? g_array_index (before, guint, 0) : 0) + 1;
  if (!write_generation (trainer, path, error)) {
    seed_generation_abandon (path); /* a full disk needs the room */
    return FALSE;
  }
  if (!seed_generation_finish (folder, path, *number, generation_files, error))
    return FALSE;
  seed_generation_sum (folder, *number, MODEL_FILE, sha256);
  trainer->generation = *number;
  return TRUE;
}

gboolean
seed_trainer_save (SeedTrainer *trainer, const char *folder, GError **error)
{
  guint number, before = trainer->generation;
  char sha256[65];

  if (!seed_trainer_save_candidate (trainer, folder, &number, sha256, error) ||
      !seed_generation_select (folder, number, error) ||
      !seed_generation_show (folder, seed_student_shown_files, error))
    return FALSE;
  seed_generations_prune (folder, number, before);
  return TRUE;
}

/* ---- resuming ---- */

typedef struct {
  SeedTrainer *trainer;
  const SeedSafetensors *st;
  const char *path;
} Loader;

static gboolean
metadata_number (const Loader *loader, const char *key, guint64 max, guint64 *value, GError **error)
{
  const char *text = seed_safetensors_metadata (loader->st, key);

  if (text && g_ascii_string_to_unsigned (text, 10, 0, max, value, NULL))
    return TRUE;
  g_set_error (error, SEED_ERROR, SEED_ERROR_FORMAT,
      "%s: metadata '%s' is no number up to %" G_GUINT64_FORMAT, loader->path, key, max);
  return FALSE;
}

static gboolean
teacher_number (
    const Loader *loader, guint t, const char *key, guint64 max, guint64 *value, GError **error)
{
  g_autofree char *full = g_strdup_printf ("teacher.%u.%s", t, key);

  return metadata_number (loader, full, max, value, error);
}

static const char *
teacher_text (const Loader *loader, guint t, const char *key, GError **error)
{
  g_autofree char *full = g_strdup_printf ("teacher.%u.%s", t, key);
  const char *text = seed_safetensors_metadata (loader->st, full);

  if (!text)
    g_set_error (
        error, SEED_ERROR, SEED_ERROR_FORMAT, "%s: metadata '%s' is missing", loader->path, full);
  return text;
}

static gboolean
read_teacher (const Loader *loader, guint t, SeedTrainerTeacher *teacher, GError **error)
{
  guint64 summary_dim, token_dim, grid;

  teacher->name = teacher_text (loader, t, "name", error);
  teacher->space = teacher->name ? teacher_text (loader, t, "space", error) : NULL;
  if (!teacher->space ||
      !teacher_number (loader, t, "summary-dim", SEED_STANDARDISE_MAX_DIM, &summary_dim, error) ||
      !teacher_number (loader, t, "token-dim", SEED_STANDARDISE_MAX_DIM, &token_dim, error) ||
      !teacher_number (loader, t, "grid", 1024, &grid, error))
    return FALSE;
  teacher->summary_dim = (guint) summary_dim;
  teacher->token_dim = (guint) token_dim;
  teacher->grid = (guint) grid;
  return TRUE;
}

/* The heads of the teachers that the state knows. */
static gboolean
read_teachers (const Loader *loader, GError **error)
{
  SeedTrainerTeacher teachers[SEED_LEARNER_MAX_TEACHERS];
  guint64 n;

  if (!metadata_number (loader, "teachers", SEED_LEARNER_MAX_TEACHERS, &n, error))
    return FALSE;
  for (guint t = 0; t < n; t++)
    if (!read_teacher (loader, t, &teachers[t], error))
      return FALSE;
  return seed_trainer_set_teachers (loader->trainer, teachers, (guint) n, error);
}

static gboolean
check_format (const Loader *loader, GError **error)
{
  const char *format = seed_safetensors_metadata (loader->st, "format");

  if (g_strcmp0 (format, STATE_FORMAT) == 0)
    return TRUE;
  g_set_error (error, SEED_ERROR, SEED_ERROR_FORMAT,
      "%s: format is '%s', expected '%s'; it is not the state of a student", loader->path,
      format ? format : "(none)", STATE_FORMAT);
  return FALSE;
}

static gboolean
check_params (const Loader *loader, GError **error)
{
  g_autofree char *expected = params_fingerprint (&loader->trainer->params);

  if (g_strcmp0 (seed_safetensors_metadata (loader->st, "params"), expected) == 0)
    return TRUE;
  g_set_error (error, SEED_ERROR, SEED_ERROR_MISMATCH,
      "%s: the state belongs to a student of another size, geometry or objective; use another "
      "checkpoint folder or the size, image-size, objective, classes and text-model it was made "
      "with",
      loader->path);
  return FALSE;
}

static gboolean
check_text_model (const Loader *loader, GError **error)
{
  const char *sha256 = seed_safetensors_metadata (loader->st, "text-model");

  if (g_str_equal (sha256 ? sha256 : "", loader->trainer->text_sha256))
    return TRUE;
  g_set_error (error, SEED_ERROR, SEED_ERROR_MISMATCH,
      "%s: the state was made with another text model; use the one it was made with, or another "
      "checkpoint folder",
      loader->path);
  return FALSE;
}

static gboolean
read_rng (const Loader *loader, GError **error)
{
  const char *text = seed_safetensors_metadata (loader->st, "rng");
  SeedRng rng;
  guint i = 0;

  for (; text && i < 4 && strlen (text) >= RNG_DIGITS; i++, text += RNG_DIGITS) {
    g_autofree char *word = g_strndup (text, RNG_DIGITS);

    if (!g_ascii_string_to_unsigned (word, 16, 0, G_MAXUINT64, &rng.s[i], NULL))
      break;
  }
  if (i == 4 && *text == 0 && (rng.s[0] | rng.s[1] | rng.s[2] | rng.s[3]) != 0) {
    loader->trainer->rng = rng;
    return TRUE;
  }
  g_set_error (error, SEED_ERROR, SEED_ERROR_FORMAT,
      "%s: metadata 'rng' is not the state of a generator", loader->path);
  return FALSE;
}

static const SeedTensor *
find_tensor (const Loader *loader, const char *name, GError **error)
{
  const SeedTensor *tensor = seed_safetensors_lookup (loader->st, name);

  if (!tensor)
    g_set_error (
        error, SEED_ERROR, SEED_ERROR_NOT_FOUND, "%s: tensor '%s' is missing", loader->path, name);
  return tensor;
}

static gboolean
read_queue (const Loader *loader, guint t, GError **error)
{
  SeedEmbedQueue *queue = &loader->trainer->queues[t];
  g_autofree char *name = g_strdup_printf ("teacher.%u.queue", t);
  const SeedTensor *tensor = seed_safetensors_lookup (loader->st, name);
  g_autofree float *rows = NULL;
  guint64 size, next;
  guint count;

  if (!tensor || queue->capacity == 0)
    return TRUE;
  if (!teacher_number (loader, t, "queue-size", G_MAXUINT32, &size, error) ||
      !teacher_number (loader, t, "queue-next", G_MAXUINT32, &next, error))
    return FALSE;
  if (tensor->n_dims != 2 || tensor->shape[1] != queue->dim || tensor->shape[0] > size ||
      next >= size || (tensor->shape[0] < size && next != tensor->shape[0])) {
    g_set_error (error, SEED_ERROR, SEED_ERROR_FORMAT, "%s: tensor '%s' is not a queue of %u wide",
        loader->path, name, queue->dim);
    return FALSE;
  }
  count = (guint) tensor->shape[0];
  rows = g_new (float, (gsize) count * queue->dim);
  if (!seed_tensor_to_float (tensor, loader->path, rows, (gsize) count * queue->dim, error))
    return FALSE;
  if (size == queue->capacity) {
    memcpy (queue->rows, rows, (gsize) count * queue->dim * sizeof (float));
    queue->count = count;
    queue->next = (guint) next;
    return TRUE;
  }
  /* another length: from the oldest on, so that the newest stay */
  next = count < size ? 0 : next;
  for (guint i = 0; i < count; i++)
    seed_embed_queue_push (queue, rows + (next + i) % count * queue->dim, 1);
  return TRUE;
}

static gboolean
make_standardise (const Loader *loader, guint t, GError **error)
{
  SeedTrainerTeacherState *teacher = &loader->trainer->teachers[t];
  guint64 n_samples;

  if (!teacher_number (loader, t, "calibrated", G_MAXINT64, &n_samples, error))
    return FALSE;
  if (n_samples == 0)
    return TRUE;
  teacher->summary = seed_standardise_alloc (teacher->info.summary_dim);
  teacher->summary->n_samples = n_samples;
  g_clear_pointer (&teacher->summary_fit, seed_standardise_fit_free);
  if (!teacher->token_fit)
    return TRUE;
  teacher->tokens = seed_standardise_alloc (teacher->info.token_dim);
  g_clear_pointer (&teacher->token_fit, seed_standardise_fit_free);
  return TRUE;
}

static gboolean
read_arrays (const Loader *loader, GError **error)
{
  SeedTrainer *trainer = loader->trainer;
  g_autoptr (GArray) arrays = NULL;

  for (guint t = 0; t < trainer->n_teachers; t++)
    if (!make_standardise (loader, t, error) || !read_queue (loader, t, error))
      return FALSE;
  arrays = state_arrays (trainer);
  for (guint i = 0; i < arrays->len; i++) {
    const StateArray *array = &g_array_index (arrays, StateArray, i);
    const SeedTensor *tensor = find_tensor (loader, array->name, error);
    gsize n = array->shape[0] * (array->n_dims == 2 ? array->shape[1] : 1);

    if (!tensor || !seed_tensor_to_float (tensor, loader->path, array->data, n, error))
      return FALSE;
  }
  return TRUE;
}

static gboolean
load_state (SeedTrainer *trainer, const char *path, GError **error)
{
  g_autoptr (SeedSafetensors) st = seed_safetensors_open (path, error);
  Loader loader = { trainer, st, path };
  guint64 step;

  if (!st || !check_format (&loader, error) || !read_teachers (&loader, error) ||
      !check_params (&loader, error) || !check_text_model (&loader, error) ||
      !metadata_number (&loader, "step", G_MAXINT64, &step, error) || !read_rng (&loader, error) ||
      !read_arrays (&loader, error) || !seed_trainer_read_probe_state (trainer, st, path, error))
    return FALSE;
  trainer->step = step;
  return TRUE;
}

float *
seed_trainer_read_average (const SeedTrainer *trainer, const char *folder, guint number, gsize *n,
    guint64 *step, char *sha256, GError **error)
{
  g_autofree char *path = seed_generation_path (folder, number);
  g_autofree char *file = g_build_filename (path, STATE_FILE, NULL);
  g_autoptr (SeedSafetensors) st = NULL;
  Loader loader = { (SeedTrainer *) trainer, NULL, file };
  g_autofree float *values = NULL;
  const SeedTensor *tensor;

  if (!seed_generation_verify (folder, number, generation_files, error))
    return NULL;
  loader.st = st = seed_safetensors_open (file, error);
  if (!st || !check_format (&loader, error) || !check_params (&loader, error) ||
      !metadata_number (&loader, "step", G_MAXINT64, step, error) ||
      !(tensor = find_tensor (&loader, "ema", error)))
    return NULL;
  *n = trainer->params.total;
  values = g_new (float, *n);
  if (!seed_tensor_to_float (tensor, file, values, *n, error))
    return NULL;
  seed_generation_sum (folder, number, MODEL_FILE, sha256);
  return g_steal_pointer (&values);
}

/* What serves: what did, or when that is no longer whole, the newest before it that also did, or
 * else what is resumed from. */
static guint
find_current (const char *folder, GArray *numbers, guint resumed)
{
  guint current = seed_generation_current (folder);

  if (current == 0)
    return resumed;
  if (seed_generation_verify (folder, current, generation_files, NULL))
    return current;
  for (guint i = 0; i < numbers->len; i++) {
    guint number = g_array_index (numbers, guint, i);

    if (number < current && seed_generation_is_marked (folder, number) &&
        seed_generation_verify (folder, number, generation_files, NULL))
      return number;
  }
  return resumed;
}

/* The newest whole generation, 0 when none is; @damage: what is wrong with those after it. */
static guint
find_whole (const char *folder, GArray *numbers, GString *damage)
{
  for (guint i = 0; i < numbers->len; i++) {
    guint number = g_array_index (numbers, guint, i);
    g_autoptr (GError) error = NULL;

    if (seed_generation_verify (folder, number, generation_files, &error))
      return number;
    g_string_append_printf (damage, "%s%s", damage->len ? "; " : "", error->message);
  }
  return 0;
}

gboolean
seed_trainer_resume (
    SeedTrainer *trainer, const char *folder, gboolean *resumed, char **damaged, GError **error)
{
  g_autoptr (GArray) numbers = seed_generations_list (folder);
  g_autoptr (GString) damage = g_string_new (NULL);
  guint number = find_whole (folder, numbers, damage);
  g_autofree char *path = NULL, *state = NULL;

  *resumed = FALSE;
  if (damaged)
    *damaged = NULL;
  if (numbers->len == 0)
    return TRUE;
  if (number == 0) {
    g_set_error (error, SEED_ERROR, SEED_ERROR_FORMAT,
        "%s: no generation of the checkpoint is whole (%s); use another checkpoint folder", folder,
        damage->str);
    return FALSE;
  }
  path = seed_generation_path (folder, number);
  state = g_build_filename (path, STATE_FILE, NULL);
  if (!load_state (trainer, state, error))
    return FALSE;
  /* killed between two renames, or damaged; a folder that cannot be written may still be read */
  seed_generation_select (folder, find_current (folder, numbers, number), NULL);
  trainer->generation = number;
  *resumed = TRUE;
  if (damaged && damage->len > 0)
    *damaged = g_strdup (damage->str);
  return TRUE;
}

static gboolean
same_tensors (const SeedParams *a, const SeedParams *b)
{
  for (guint i = 0; a->n == b->n && i < a->n; i++) {
    const SeedParam *x = &a->items[i], *y = &b->items[i];

    if (strcmp (x->name, y->name) != 0 || x->n_dims != y->n_dims ||
        memcmp (x->shape, y->shape, x->n_dims * sizeof x->shape[0]) != 0)
      return FALSE;
  }
  return a->n == b->n;
}

/* Image anchors and a text head may be new to a student, and one that has them may go on without.
 */
static gboolean
same_network (const SeedTrainer *trainer, const SeedStudentShape *theirs)
{
  SeedStudentShape mine = trainer->config.learner.shape;
  SeedParams a, b;
  gboolean same;

  mine.anchors = FALSE;
  mine.text_dim = 0;
  seed_params_init (&a);
  seed_params_init (&b);
  seed_student_append_params (&mine, &a);
  mine = *theirs;
  mine.anchors = FALSE;
  mine.text_dim = 0;
  seed_student_append_params (&mine, &b);
  same = same_tensors (&a, &b);
  seed_params_clear (&a);
  seed_params_clear (&b);
  return same;
}

gboolean
seed_trainer_load_model (SeedTrainer *trainer, const char *folder, GError **error)
{
  SeedCheckpoint checkpoint = { 0 };
  SeedStudentShape shape;
  gboolean ok;

  if (!seed_student_load (&checkpoint, &shape, folder, error))
    return FALSE;
  ok = same_network (trainer, &shape);
  if (ok) {
    for (guint i = 0; i < trainer->student_params.n; i++) {
      const SeedParam *mine = &trainer->student_params.items[i];
      const SeedParam *theirs = seed_params_lookup (&checkpoint.params, mine->name);

      if (theirs && theirs->size == mine->size) /* a text head may be of another text's width */
        memcpy (trainer->values + mine->offset, checkpoint.values + theirs->offset,
            mine->size * sizeof (float));
    }
    seed_anchors_normalise_params (&trainer->params, trainer->values);
    memcpy (trainer->ema, trainer->values, trainer->params.total * sizeof (float));
  } else {
    g_set_error (error, SEED_ERROR, SEED_ERROR_MISMATCH,
        "%s: the model has another size or geometry than the student (image-size, patch-size, "
        "size)",
        folder);
  }
  seed_checkpoint_clear (&checkpoint);
  return ok;
}
