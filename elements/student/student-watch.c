/* SPDX-License-Identifier: MIT */
#include <errno.h>
#include <poll.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/inotify.h>
#include <unistd.h>

#include <glib/gstdio.h>

#include "student/generations.h"
#include "student/seedstudent.h"
#include "student/student-files.h"

GST_DEBUG_CATEGORY_EXTERN (seed_student_debug);
#define GST_CAT_DEFAULT seed_student_debug

#define LOOK_MS 2000 /* file systems over a network tell nothing */

struct _SeedStudentWatch {
  SeedStudentElement *element; /* not owned */
  GThread *thread;
  int wake, notify; /* descriptors; notify -1: only look */
  char *seen;       /* what was there when it last looked */
  char sha256[65];  /* of the model that was taken last */
  GMutex lock;
  SeedWeights *found; /* under the lock */
};

/*
 * What a folder shows: the generation it calls current, or which model file is there. Two different
 * models never look alike; the same may after it was touched, which costs a load.
 */
static char *
look (const char *folder)
{
  g_autofree char *link = g_build_filename (folder, "current", NULL);
  g_autofree char *model = g_build_filename (folder, "model.safetensors", NULL);
  g_autofree char *target = g_file_read_link (link, NULL);
  GStatBuf info;

  if (g_stat (model, &info) < 0)
    return g_strdup_printf ("%s: nothing", target ? target : "");
  return g_strdup_printf ("%s %" G_GUINT64_FORMAT " %" G_GINT64_FORMAT " %" G_GINT64_FORMAT
                          ".%09ld",
      target ? target : "", (guint64) info.st_ino, (gint64) info.st_size,
      (gint64) info.st_mtim.tv_sec, info.st_mtim.tv_nsec);
}

static const char *const model_files[] = { "config.json", "model.safetensors", NULL };

guint64
seed_student_model_step (const char *folder)
{
  guint number = seed_generation_current (folder);
  g_autofree char *generation = number ? seed_generation_path (folder, number) : g_strdup (folder);
  g_autofree char *path = g_build_filename (generation, "state.safetensors", NULL);
  g_autoptr (SeedSafetensors) st = seed_safetensors_open (path, NULL);
  const char *text = st ? seed_safetensors_metadata (st, "step") : NULL;
  guint64 step = 0;

  if (text)
    g_ascii_string_to_unsigned (text, 10, 0, G_MAXINT64, &step, NULL);
  return step;
}

static gboolean
same_shape (SeedStudentElement *self, const SeedCheckpoint *checkpoint, GError **error)
{
  SeedStudentShape shape;
  SeedParams params;
  gboolean same;

  seed_student_element_get_shape (self, &shape);
  seed_params_init (&params);
  seed_student_append_params (&shape, &params);
  same = params.n == checkpoint->params.n &&
         memcmp (&shape.vit.mean, &checkpoint->config.mean, sizeof shape.vit.mean) == 0 &&
         memcmp (&shape.vit.std, &checkpoint->config.std, sizeof shape.vit.std) == 0 &&
         shape.vit.image_size == checkpoint->config.image_size &&
         shape.vit.patch_size == checkpoint->config.patch_size &&
         shape.vit.heads == checkpoint->config.heads;
  for (guint i = 0; same && i < params.n; i++)
    same = g_str_equal (params.items[i].name, checkpoint->params.items[i].name) &&
           params.items[i].size == checkpoint->params.items[i].size &&
           params.items[i].offset == checkpoint->params.items[i].offset;
  seed_params_clear (&params);
  if (!same)
    g_set_error (error, SEED_ERROR, SEED_ERROR_MISMATCH,
        "%s: the new model has another size or geometry than the one that serves; start the graph "
        "again to serve it",
        self->model);
  return same;
}

/* Reads and checks all of a model; what a number leads to is not touched by a newer promotion. */
static SeedWeights *
read_model (SeedStudentElement *self, GError **error)
{
  guint number = seed_generation_current (self->model);
  g_autofree char *path =
      number ? seed_generation_path (self->model, number) : g_strdup (self->model);
  SeedCheckpoint checkpoint = { 0 };
  SeedStudentShape shape;
  SeedWeights *weights = NULL;

  if (number && !seed_generation_verify (self->model, number, model_files, error))
    return NULL;
  if (!seed_student_load (&checkpoint, &shape, path, error))
    return NULL;
  if (same_shape (self, &checkpoint, error))
    weights = seed_weights_new (checkpoint.values, checkpoint.params.total,
        seed_student_model_step (path), checkpoint.sha256);
  seed_checkpoint_clear (&checkpoint);
  return weights;
}

static void
say (SeedStudentElement *self, const char *what, const char *reason, const SeedWeights *weights)
{
  GstEvent *event = seed_event_new (what, NULL, reason);

  if (weights)
    gst_structure_set (gst_event_writable_structure (event), "step", G_TYPE_UINT64, weights->step,
        "sha256", G_TYPE_STRING, weights->sha256, NULL);
  seed_student_queue_event (self, event);
}

/* Takes up what is new, or says once why not. */
static void
check (SeedStudentWatch *watch)
{
  SeedStudentElement *self = watch->element;
  g_autofree char *now = look (self->model);
  g_autoptr (GError) error = NULL;
  SeedWeights *weights;

  if (g_str_equal (now, watch->seen))
    return;
  g_free (watch->seen);
  watch->seen = g_steal_pointer (&now);
  weights = read_model (self, &error);
  if (!weights) {
    GST_ELEMENT_WARNING (self, RESOURCE, READ,
        ("%s: keeps the student it has, the new one is not sound: %s", GST_OBJECT_NAME (self),
            error->message),
        (NULL));
    say (self, "alarm", error->message, NULL);
    return;
  }
  if (g_str_equal (weights->sha256, watch->sha256)) {
    seed_weights_unref (weights);
    return;
  }
  g_strlcpy (watch->sha256, weights->sha256, sizeof watch->sha256);
  say (self, "promoted", "found in the folder", weights);
  g_mutex_lock (&watch->lock);
  seed_weights_unref (watch->found);
  watch->found = weights;
  g_mutex_unlock (&watch->lock);
}

/* What changed does not matter, that something did. */
static void
drain (int fd)
{
  char events[4096];

  while (read (fd, events, sizeof events) > 0)
    ;
}

static gpointer
watch_loop (gpointer data)
{
  SeedStudentWatch *watch = data;
  struct pollfd fds[2] = { { .fd = watch->wake, .events = POLLIN },
    { .fd = watch->notify, .events = POLLIN } };

  for (;;) {
    if (poll (fds, watch->notify >= 0 ? 2 : 1, LOOK_MS) < 0 && errno != EINTR)
      break;
    if (fds[0].revents)
      break;
    if (watch->notify >= 0)
      drain (watch->notify);
    check (watch);
    seed_student_flush_events (watch->element);
  }
  return NULL;
}

gboolean
seed_student_watch_start (SeedStudentElement *self, GError **error)
{
  SeedStudentWatch *watch = g_new0 (SeedStudentWatch, 1);

  watch->element = self;
  g_mutex_init (&watch->lock);
  watch->wake = eventfd (0, EFD_CLOEXEC);
  watch->notify = inotify_init1 (IN_CLOEXEC | IN_NONBLOCK);
  if (watch->notify >= 0 && inotify_add_watch (watch->notify, self->model,
                                IN_MOVED_TO | IN_CREATE | IN_CLOSE_WRITE) < 0) {
    close (watch->notify);
    watch->notify = -1;
  }
  /* what came since the element loaded its model counts */
  g_strlcpy (watch->sha256, self->infer.fixed->sha256, sizeof watch->sha256);
  watch->seen = g_strdup ("");
  self->infer.watch = watch;
  if (watch->wake >= 0)
    watch->thread = g_thread_try_new ("seed-watch", watch_loop, watch, error);
  else
    g_set_error (error, SEED_ERROR, SEED_ERROR_IO, "%s: cannot be watched: %s", self->model,
        g_strerror (errno));
  if (watch->thread)
    return TRUE;
  seed_student_watch_stop (self);
  return FALSE;
}

void
seed_student_watch_stop (SeedStudentElement *self)
{
  SeedStudentWatch *watch = g_steal_pointer (&self->infer.watch);
  const guint64 one = 1;

  if (!watch)
    return;
  if (watch->thread && write (watch->wake, &one, sizeof one) == sizeof one)
    g_thread_join (watch->thread);
  if (watch->wake >= 0)
    close (watch->wake);
  if (watch->notify >= 0)
    close (watch->notify);
  seed_weights_unref (watch->found);
  g_mutex_clear (&watch->lock);
  g_free (watch->seen);
  g_free (watch);
}

SeedWeights *
seed_student_watch_take (SeedStudentElement *self)
{
  SeedStudentWatch *watch = self->infer.watch;
  SeedWeights *found;

  g_mutex_lock (&watch->lock);
  found = g_steal_pointer (&watch->found);
  g_mutex_unlock (&watch->lock);
  return found;
}
