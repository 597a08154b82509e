/* SPDX-License-Identifier: MIT */
#include <gst/gst.h>
#include <seed/error.h>

#include "core/caption-meta.h"
#include "core/event.h"
#include "core/stream-meta.h"
#include "decode/streams.h"
#include "source/seedimagesrc.h"

#define GST_CAT_DEFAULT seed_image_src_debug

/* Broken files that are named on the bus; all are counted and logged. */
#define MAX_WARNINGS 20
#define MAX_AUTO_THREADS 4

static gpointer parent_class;

/* --- start and stop --------------------------------------------------------------------------- */

/* A copy of what the run needs, taken at one moment. */
typedef struct {
  char *location, *labels, *captions;
  SeedImageLoaderSettings loader;
} Settings;

static void
settings_clear (Settings *settings)
{
  g_free (settings->location);
  g_free (settings->labels);
  g_free (settings->captions);
}

G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC (Settings, settings_clear)

/* More threads than this only wait for the disc and for one another. */
static guint
n_threads (guint wanted)
{
  return wanted > 0 ? wanted : MIN (g_get_num_processors (), MAX_AUTO_THREADS);
}

static void
copy_settings (SeedImageSrc *self, Settings *settings)
{
  *settings = (Settings){ .location = g_strdup (self->location),
    .labels = g_strdup (self->labels),
    .captions = g_strdup (self->captions),
    .loader = { .epochs = self->epochs,
        .shuffle = self->shuffle,
        .seed = self->seed,
        .threads = n_threads (self->threads),
        .ahead = self->ahead,
        .max_size = self->max_size,
        /* what is shown once need not be kept */
        .cache_bytes = self->epochs == 1 ? 0 : (guint64) self->cache_mb << 20 } };
}

static gboolean
check_settings (SeedImageSrc *self, Settings *settings, GError **error)
{
  gboolean ok = FALSE;

  GST_OBJECT_LOCK (self);
  if (!self->location || !*self->location) {
    g_set_error (error, SEED_ERROR, SEED_ERROR_INVALID,
        "location is not set; give a folder of images, a tar file, CIFAR batches or a list file");
  } else if (!self->labels || !*self->labels) {
    g_set_error (error, SEED_ERROR, SEED_ERROR_INVALID,
        "labels is not set; use folders, none or a file of labels");
  } else if (!seed_stream_id_is_valid (self->stream)) {
    g_set_error (error, SEED_ERROR, SEED_ERROR_INVALID,
        "stream \"%s\" is not a stream id; use 1 to 63 of a-z, 0-9 and -",
        self->stream ? self->stream : "");
  } else {
    copy_settings (self, settings);
    ok = TRUE;
  }
  GST_OBJECT_UNLOCK (self);
  return ok;
}

static void
warn_of_problems (SeedImageSrc *self, SeedImageSet *set)
{
  const char *const *problems = seed_image_set_get_problems (set);

  for (guint i = 0; problems[i] && i < MAX_WARNINGS; i++)
    GST_ELEMENT_WARNING (self, RESOURCE, READ,
        ("%s: stream \"%s\": %s", GST_OBJECT_NAME (self), self->id, problems[i]), (NULL));
}

static void
begin_run (SeedImageSrc *self, SeedImageSet *set, const Settings *settings)
{
  GST_OBJECT_LOCK (self);
  self->set = set;
  self->loader = seed_image_loader_new (set, &settings->loader);
  self->first = self->position = self->start_at;
  self->id = g_strdup (self->stream);
  self->fps = self->max_fps;
  GST_OBJECT_UNLOCK (self);
  self->has_caps = FALSE;
  self->n_shown = self->n_warnings = 0;
}

static gboolean
seed_image_src_start (GstBaseSrc *base)
{
  SeedImageSrc *self = SEED_IMAGE_SRC (base);
  g_auto (Settings) settings = { 0 };
  g_autoptr (GError) error = NULL;
  SeedImageSet *set = NULL;

  if (check_settings (self, &settings, &error))
    set = seed_image_set_open (settings.location, settings.labels, settings.captions, &error);
  if (!set) {
    GST_ELEMENT_ERROR (
        self, RESOURCE, SETTINGS, ("%s: %s", GST_OBJECT_NAME (self), error->message), (NULL));
    return FALSE;
  }
  begin_run (self, set, &settings);
  warn_of_problems (self, set);
  return TRUE;
}

/* What became of the image that was made last. The base class pushes it, or drops it when it is
 * stopped while it waits for the clock; what the push said is known to the pad alone. */
static void
settle (SeedImageSrc *self)
{
  GstFlowReturn ret = gst_pad_get_last_flow_return (GST_BASE_SRC_PAD (self));

  if (self->hand == SEED_IMAGE_SRC_NOTHING)
    return;
  if (self->hand == SEED_IMAGE_SRC_PUSHED && ret == GST_FLOW_OK)
    seed_ledger_out (self->ledger, self->id, 1);
  else
    seed_ledger_drop (self->ledger, self->id,
        self->hand == SEED_IMAGE_SRC_PUSHED && ret == GST_FLOW_EOS ? SEED_DROP_FINISHED
                                                                   : SEED_DROP_FLUSHED,
        1);
  self->hand = SEED_IMAGE_SRC_NOTHING;
}

static gboolean
seed_image_src_stop (GstBaseSrc *base)
{
  SeedImageSrc *self = SEED_IMAGE_SRC (base);
  SeedImageLoader *loader;
  SeedImageSet *set;

  settle (self);
  GST_OBJECT_LOCK (self);
  set = g_steal_pointer (&self->set);
  loader = g_steal_pointer (&self->loader);
  GST_OBJECT_UNLOCK (self);
  seed_image_loader_free (loader); /* waits for its threads */
  seed_image_set_free (set);
  g_clear_pointer (&self->id, g_free);
  return TRUE;
}

/* --- caps ------------------------------------------------------------------------------------- */

/* Caps come with every image; what can be said before is what downstream takes. */
static gboolean
seed_image_src_negotiate (GstBaseSrc *base)
{
  SeedImageSrc *self = SEED_IMAGE_SRC (base);
  g_autoptr (GstCaps) allowed = gst_pad_get_allowed_caps (GST_BASE_SRC_PAD (base));
  g_autoptr (GstCaps) i420 = gst_caps_from_string ("video/x-raw, format=I420");
  g_autoptr (GstCaps) rgb = gst_caps_from_string ("video/x-raw, format=RGB");
  gboolean takes_i420 = !allowed || gst_caps_can_intersect (allowed, i420);
  gboolean takes_rgb = !allowed || gst_caps_can_intersect (allowed, rgb);

  if (!takes_i420 && !takes_rgb) {
    GST_ELEMENT_ERROR (self, CORE, NEGOTIATION,
        ("%s: the next stage takes neither I420 nor RGB; put videoconvert in between",
            GST_OBJECT_NAME (self)),
        (NULL));
    return FALSE;
  }
  seed_image_loader_begin (self->loader, self->position, takes_i420, takes_rgb);
  self->has_caps = FALSE;
  return TRUE;
}

static gboolean
set_caps (SeedImageSrc *self, const GstVideoInfo *info)
{
  g_autoptr (GstCaps) caps = NULL;
  GstVideoInfo still = *info;

  GST_VIDEO_INFO_FPS_N (&still) = 0;
  GST_VIDEO_INFO_FPS_D (&still) = 1;
  if (self->has_caps && gst_video_info_is_equal (&self->info, &still))
    return TRUE;
  caps = gst_video_info_to_caps (&still);
  if (!gst_pad_peer_query_accept_caps (GST_BASE_SRC_PAD (self), caps) ||
      !gst_base_src_set_caps (GST_BASE_SRC (self), caps)) {
    GST_ELEMENT_ERROR (self, CORE, NEGOTIATION,
        ("%s: stream \"%s\": the next stage refuses an image of %dx%d in %s; images of several "
         "sizes need videoscale or seedpatchify behind them",
            GST_OBJECT_NAME (self), self->id, still.width, still.height,
            gst_video_format_to_string (still.finfo->format)),
        (NULL));
    return FALSE;
  }
  self->info = still;
  self->has_caps = TRUE;
  return TRUE;
}

/* --- images ----------------------------------------------------------------------------------- */

static void
drop_image (SeedImageSrc *self, const char *why)
{
  seed_ledger_drop (self->ledger, self->id, SEED_DROP_ERROR, 1);
  GST_WARNING_OBJECT (self, "%s", why);
  if (self->n_warnings++ < MAX_WARNINGS)
    GST_ELEMENT_WARNING (self, STREAM, DECODE,
        ("%s: stream \"%s\": image left out: %s", GST_OBJECT_NAME (self), self->id, why), (NULL));
}

static GstBuffer *
dress (SeedImageSrc *self, GstBuffer *buffer, guint image, guint64 number)
{
  GstBuffer *frame = gst_buffer_make_writable (buffer);
  SeedStreamMeta *meta = seed_buffer_add_stream_meta (frame);
  GstClockTime length = GST_CLOCK_TIME_NONE, pts = GST_CLOCK_TIME_NONE;
  const char *const *captions;
  guint n_captions;

  if (self->fps > 0) { /* images have no time of their own; a pace gives them one */
    length = (GstClockTime) (GST_SECOND / self->fps);
    pts = (GstClockTime) ((double) self->n_shown * GST_SECOND / self->fps);
  }
  GST_BUFFER_PTS (frame) = pts;
  GST_BUFFER_DTS (frame) = GST_CLOCK_TIME_NONE;
  GST_BUFFER_DURATION (frame) = length;
  g_strlcpy (meta->stream, self->id, sizeof meta->stream);
  meta->frame = number;
  meta->pts = pts;
  meta->capture_ns = seed_realtime_ns ();
  meta->label = seed_image_set_get_label (self->set, image);
  meta->dropped = seed_ledger_dropped (self->ledger, self->id);
  captions = seed_image_set_get_captions (self->set, image, &n_captions);
  seed_buffer_add_captions (frame, 0, captions, n_captions);
  return frame;
}

/* Takes the next image from the loader; what it is the number of. */
static SeedImageLoaderResult
next_image (SeedImageSrc *self, SeedLoadedImage *loaded, guint64 *number)
{
  SeedImageLoaderResult result = seed_image_loader_next (self->loader, loaded);

  if (result != SEED_IMAGE_LOADER_OK)
    return result;
  GST_OBJECT_LOCK (self);
  *number = self->position++;
  GST_OBJECT_UNLOCK (self);
  seed_ledger_in (self->ledger, self->id, 1);
  seed_ledger_busy (self->ledger, loaded->busy_ns);
  return result;
}

static gboolean
is_hopeless (SeedImageSrc *self)
{
  if (self->n_shown > 0 || self->position - self->first < seed_image_set_n_images (self->set))
    return FALSE;
  GST_ELEMENT_ERROR (self, STREAM, DECODE,
      ("%s: stream \"%s\": none of the %u images could be decoded; see the warnings before",
          GST_OBJECT_NAME (self), self->id, seed_image_set_n_images (self->set)),
      (NULL));
  return TRUE;
}

static GstPadProbeReturn
on_leaving (GstPad *pad, GstPadProbeInfo *info, gpointer data)
{
  SeedImageSrc *self = data;

  self->hand = SEED_IMAGE_SRC_PUSHED;
  return GST_PAD_PROBE_OK;
}

/* Until PLAYING there is no base time, so the base class would let images through unpaced. The
 * first one may go: sinks want it to be ready. FALSE: unlocked. */
static gboolean
wait_for_playing (SeedImageSrc *self)
{
  gboolean go_on;

  if (self->fps <= 0 || self->n_shown == 0)
    return TRUE;
  g_mutex_lock (&self->pace_lock);
  while (!self->is_playing && !self->is_unlocked)
    g_cond_wait (&self->pace_cond, &self->pace_lock);
  go_on = !self->is_unlocked;
  g_mutex_unlock (&self->pace_lock);
  return go_on;
}

/* Takes the frame of @loaded. */
static GstFlowReturn
show (SeedImageSrc *self, SeedLoadedImage *loaded, guint64 number, GstBuffer **buffer)
{
  GstBuffer *frame = dress (self, g_steal_pointer (&loaded->frame), loaded->image, number);

  if (!set_caps (self, &loaded->info)) {
    gst_buffer_unref (frame);
    seed_ledger_drop (self->ledger, self->id, SEED_DROP_ERROR, 1);
    return GST_FLOW_NOT_NEGOTIATED;
  }
  self->n_shown++;
  self->hand = SEED_IMAGE_SRC_MADE;
  *buffer = frame;
  return GST_FLOW_OK;
}

static GstFlowReturn
seed_image_src_create (GstPushSrc *push, GstBuffer **buffer)
{
  SeedImageSrc *self = SEED_IMAGE_SRC (push);
  SeedImageLoaderResult result;
  guint64 number;

  settle (self);
  if (!wait_for_playing (self))
    return GST_FLOW_FLUSHING;
  for (;;) {
    SeedLoadedImage loaded = { 0 };

    if (GST_PAD_IS_FLUSHING (GST_BASE_SRC_PAD (self)))
      return GST_FLOW_FLUSHING;
    if (is_hopeless (self))
      return GST_FLOW_ERROR;
    result = next_image (self, &loaded, &number);
    if (result != SEED_IMAGE_LOADER_OK)
      return result == SEED_IMAGE_LOADER_END ? GST_FLOW_EOS : GST_FLOW_FLUSHING;
    if (loaded.frame)
      return show (self, &loaded, number, buffer);
    drop_image (self, loaded.error->message);
    g_error_free (loaded.error);
  }
}

/* A base source waits for the clock until the start time that it is given. */
static void
seed_image_src_get_times (
    GstBaseSrc *base, GstBuffer *buffer, GstClockTime *start, GstClockTime *end)
{
  *start = GST_BUFFER_PTS (buffer);
  *end = GST_CLOCK_TIME_NONE;
}

static gboolean
seed_image_src_is_seekable (GstBaseSrc *base)
{
  return FALSE;
}

static void
set_flag (SeedImageSrc *self, gboolean *flag, gboolean value)
{
  g_mutex_lock (&self->pace_lock);
  *flag = value;
  g_cond_broadcast (&self->pace_cond);
  g_mutex_unlock (&self->pace_lock);
}

static gboolean
seed_image_src_unlock (GstBaseSrc *base)
{
  set_flag (SEED_IMAGE_SRC (base), &SEED_IMAGE_SRC (base)->is_unlocked, TRUE);
  if (SEED_IMAGE_SRC (base)->loader)
    seed_image_loader_set_flushing (SEED_IMAGE_SRC (base)->loader, TRUE);
  return TRUE;
}

static gboolean
seed_image_src_unlock_stop (GstBaseSrc *base)
{
  set_flag (SEED_IMAGE_SRC (base), &SEED_IMAGE_SRC (base)->is_unlocked, FALSE);
  if (SEED_IMAGE_SRC (base)->loader)
    seed_image_loader_set_flushing (SEED_IMAGE_SRC (base)->loader, FALSE);
  return TRUE;
}

static GstStateChangeReturn
seed_image_src_change_state (GstElement *element, GstStateChange transition)
{
  SeedImageSrc *self = SEED_IMAGE_SRC (element);
  GstStateChangeReturn ret;

  if (transition == GST_STATE_CHANGE_PLAYING_TO_PAUSED)
    set_flag (self, &self->is_playing, FALSE);
  ret = GST_ELEMENT_CLASS (parent_class)->change_state (element, transition);
  if (transition == GST_STATE_CHANGE_PAUSED_TO_PLAYING && ret != GST_STATE_CHANGE_FAILURE)
    set_flag (self, &self->is_playing, TRUE);
  return ret;
}

/* --- class ------------------------------------------------------------------------------------ */

void
seed_image_src_run_class_init (SeedImageSrcClass *klass)
{
  GstBaseSrcClass *base_class = GST_BASE_SRC_CLASS (klass);

  parent_class = g_type_class_peek_parent (klass);
  GST_ELEMENT_CLASS (klass)->change_state = GST_DEBUG_FUNCPTR (seed_image_src_change_state);
  base_class->start = GST_DEBUG_FUNCPTR (seed_image_src_start);
  base_class->stop = GST_DEBUG_FUNCPTR (seed_image_src_stop);
  base_class->negotiate = GST_DEBUG_FUNCPTR (seed_image_src_negotiate);
  base_class->unlock = GST_DEBUG_FUNCPTR (seed_image_src_unlock);
  base_class->unlock_stop = GST_DEBUG_FUNCPTR (seed_image_src_unlock_stop);
  base_class->get_times = GST_DEBUG_FUNCPTR (seed_image_src_get_times);
  base_class->is_seekable = GST_DEBUG_FUNCPTR (seed_image_src_is_seekable);
  GST_PUSH_SRC_CLASS (klass)->create = GST_DEBUG_FUNCPTR (seed_image_src_create);
}

void
seed_image_src_run_init (SeedImageSrc *self)
{
  g_mutex_init (&self->pace_lock);
  g_cond_init (&self->pace_cond);
  gst_base_src_set_format (GST_BASE_SRC (self), GST_FORMAT_TIME);
  gst_pad_add_probe (GST_BASE_SRC_PAD (self), GST_PAD_PROBE_TYPE_BUFFER, on_leaving, self, NULL);
}
