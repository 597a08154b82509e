/* SPDX-License-Identifier: MIT */
#include "source/imageloader.h"

#include "source/imagedecoder.h"
#include "source/imageorder.h"

typedef struct {
  gboolean done;
  SeedLoadedImage loaded;
} Slot;

struct _SeedImageLoader {
  const SeedImageSet *set;
  SeedImageLoaderSettings settings;
  SeedImageCache *cache;
  GThread *threads[SEED_IMAGE_LOADER_MAX_THREADS];
  guint n_threads; /* that run */
  gboolean began, i420, rgb;

  GMutex lock;
  GCond work; /* for the threads: there is room, or they are to end */
  GCond done; /* for the taker */
  /* under lock */
  SeedImageCursor cursor; /* of head */
  guint64 head, tail;     /* position of the next image to be decoded, and to be taken */
  Slot *slots;            /* [ahead]; position p is in slot p % ahead */
  guint64 bytes;          /* of frames in slots */
  guint64 n_decoded;
  gboolean flushing, stopping, exhausted;
};

/* --- one image -------------------------------------------------------------------------------- */

static GstBuffer *
read_and_decode (
    SeedImageLoader *loader, SeedImageDecoder *decoder, SeedLoadedImage *loaded, GError **error)
{
  SeedImageCoding coding;
  g_autoptr (GBytes) bytes = seed_image_set_read (loader->set, loaded->image, &coding, error);
  GstBuffer *frame;

  if (!bytes)
    return NULL;
  if (coding == SEED_IMAGE_PLANES)
    frame = seed_image_decoder_run_planes (
        decoder, bytes, SEED_IMAGE_PLANES_SIDE, &loaded->info, error);
  else
    frame = seed_image_decoder_run (decoder, bytes, &loaded->info, error);
  if (!frame) {
    g_autofree char *name = seed_image_set_dup_name (loader->set, loaded->image);

    g_prefix_error (error, "%s: ", name);
  }
  return frame;
}

/* TRUE: it was decoded, not found in the cache. */
static gboolean
load (SeedImageLoader *loader, SeedImageDecoder *decoder, SeedLoadedImage *loaded)
{
  gint64 start = g_get_monotonic_time ();
  gboolean is_new;

  loaded->frame = seed_image_cache_get (loader->cache, loaded->image, &loaded->info);
  is_new = loaded->frame == NULL;
  if (is_new) {
    loaded->frame = read_and_decode (loader, decoder, loaded, &loaded->error);
    if (loaded->frame)
      seed_image_cache_put (loader->cache, loaded->image, loaded->frame, &loaded->info);
  }
  loaded->busy_ns = (guint64) (g_get_monotonic_time () - start) * 1000;
  return is_new;
}

/* --- threads ---------------------------------------------------------------------------------- */

/* A frame that is due goes whatever it takes; those ahead of it have a limit of bytes. */
static gboolean
has_room (const SeedImageLoader *loader)
{
  return !loader->exhausted && loader->head - loader->tail < loader->settings.ahead &&
         (loader->head == loader->tail || loader->bytes < SEED_IMAGE_LOADER_MAX_BYTES);
}

/* Under the lock: the next image of the run. FALSE: to end. */
static gboolean
take_job (SeedImageLoader *loader, guint64 *position, guint *image)
{
  for (;;) {
    while (!loader->stopping && !has_room (loader))
      g_cond_wait (&loader->work, &loader->lock);
    if (loader->stopping)
      return FALSE;
    if (seed_image_cursor_next (&loader->cursor, image)) {
      *position = loader->head++;
      return TRUE;
    }
    loader->exhausted = TRUE;
    g_cond_broadcast (&loader->done);
  }
}

static gpointer
work (gpointer data)
{
  SeedImageLoader *loader = data;
  SeedImageDecoder *decoder = seed_image_decoder_new ();
  guint64 position;
  guint image;

  seed_image_decoder_set_formats (decoder, loader->i420, loader->rgb);
  seed_image_decoder_set_max_size (decoder, loader->settings.max_size);
  g_mutex_lock (&loader->lock);
  while (take_job (loader, &position, &image)) {
    Slot *slot = &loader->slots[position % loader->settings.ahead];
    SeedLoadedImage loaded = { .image = image };
    gboolean is_new;

    g_mutex_unlock (&loader->lock);
    is_new = load (loader, decoder, &loaded);
    g_mutex_lock (&loader->lock);
    slot->loaded = loaded;
    slot->done = TRUE;
    loader->n_decoded += is_new && loaded.frame;
    loader->bytes += loaded.frame ? gst_buffer_get_size (loaded.frame) : 0;
    if (position == loader->tail)
      g_cond_signal (&loader->done);
  }
  g_mutex_unlock (&loader->lock);
  seed_image_decoder_free (decoder);
  return NULL;
}

static void
stop (SeedImageLoader *loader)
{
  g_mutex_lock (&loader->lock);
  loader->stopping = TRUE;
  g_cond_broadcast (&loader->work);
  g_mutex_unlock (&loader->lock);
  while (loader->n_threads > 0)
    g_thread_join (loader->threads[--loader->n_threads]);
  loader->stopping = FALSE;
  for (guint i = 0; i < loader->settings.ahead; i++) {
    gst_clear_buffer (&loader->slots[i].loaded.frame);
    g_clear_error (&loader->slots[i].loaded.error);
    loader->slots[i].done = FALSE;
  }
  loader->bytes = 0;
}

/* --- the loader ------------------------------------------------------------------------------- */

SeedImageLoader *
seed_image_loader_new (const SeedImageSet *set, const SeedImageLoaderSettings *settings)
{
  SeedImageLoader *loader = g_new0 (SeedImageLoader, 1);

  g_return_val_if_fail (settings->threads > 0, NULL);
  g_return_val_if_fail (settings->threads <= SEED_IMAGE_LOADER_MAX_THREADS, NULL);
  g_return_val_if_fail (settings->ahead > 0, NULL);
  loader->set = set;
  loader->settings = *settings;
  loader->cache = seed_image_cache_new (settings->cache_bytes);
  loader->slots = g_new0 (Slot, settings->ahead);
  g_mutex_init (&loader->lock);
  g_cond_init (&loader->work);
  g_cond_init (&loader->done);
  seed_image_cursor_init (&loader->cursor, seed_image_set_n_images (set), settings->epochs,
      settings->shuffle, settings->seed);
  return loader;
}

void
seed_image_loader_free (SeedImageLoader *loader)
{
  if (!loader)
    return;
  stop (loader);
  seed_image_cache_free (loader->cache);
  seed_image_cursor_clear (&loader->cursor);
  g_cond_clear (&loader->work);
  g_cond_clear (&loader->done);
  g_mutex_clear (&loader->lock);
  g_free (loader->slots);
  g_free (loader);
}

void
seed_image_loader_begin (SeedImageLoader *loader, guint64 position, gboolean i420, gboolean rgb)
{
  if (loader->began && loader->i420 == i420 && loader->rgb == rgb && loader->tail == position)
    return;
  stop (loader);
  if (loader->began && (loader->i420 != i420 || loader->rgb != rgb))
    seed_image_cache_clear (loader->cache);
  loader->began = TRUE;
  loader->i420 = i420;
  loader->rgb = rgb;
  loader->head = loader->tail = position;
  loader->exhausted = FALSE;
  seed_image_cursor_seek_to (&loader->cursor, position);
  for (; loader->n_threads < loader->settings.threads; loader->n_threads++)
    loader->threads[loader->n_threads] = g_thread_new ("seed-images", work, loader);
}

SeedImageLoaderResult
seed_image_loader_next (SeedImageLoader *loader, SeedLoadedImage *loaded)
{
  SeedImageLoaderResult result = SEED_IMAGE_LOADER_OK;
  gboolean wake_workers;
  Slot *slot;

  g_mutex_lock (&loader->lock);
  slot = &loader->slots[loader->tail % loader->settings.ahead];
  while (!loader->flushing && !slot->done && !(loader->exhausted && loader->tail == loader->head))
    g_cond_wait (&loader->done, &loader->lock);
  if (loader->flushing) {
    result = SEED_IMAGE_LOADER_FLUSHING;
  } else if (!slot->done) {
    result = SEED_IMAGE_LOADER_END;
  } else {
    *loaded = slot->loaded;
    *slot = (Slot){ 0 };
    wake_workers = loader->bytes >= SEED_IMAGE_LOADER_MAX_BYTES;
    loader->bytes -= loaded->frame ? gst_buffer_get_size (loaded->frame) : 0;
    loader->tail++;
    /* not for every small picture, but when half of the room is free */
    if (wake_workers || loader->head - loader->tail <= loader->settings.ahead / 2)
      g_cond_broadcast (&loader->work);
  }
  g_mutex_unlock (&loader->lock);
  return result;
}

void
seed_image_loader_set_flushing (SeedImageLoader *loader, gboolean flushing)
{
  g_mutex_lock (&loader->lock);
  loader->flushing = flushing;
  g_cond_broadcast (&loader->done);
  g_mutex_unlock (&loader->lock);
}

guint64
seed_image_loader_n_decoded (SeedImageLoader *loader)
{
  guint64 n;

  g_mutex_lock (&loader->lock);
  n = loader->n_decoded;
  g_mutex_unlock (&loader->lock);
  return n;
}

guint
seed_image_loader_n_cached (SeedImageLoader *loader)
{
  return seed_image_cache_n_images (loader->cache);
}

guint64
seed_image_loader_cache_bytes (SeedImageLoader *loader)
{
  return seed_image_cache_bytes (loader->cache);
}
