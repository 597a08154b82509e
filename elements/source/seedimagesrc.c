/* SPDX-License-Identifier: MIT */
/**
 * SECTION:element-seedimagesrc
 * @title: seedimagesrc
 *
 * Shows the images of a folder, epoch after epoch, each with a stream meta: its number in the run
 * and the label of its class. The folders directly below the location are the classes. The order of
 * an epoch is a permutation that depends on the seed and the epoch alone.
 *
 * A file that cannot be decoded is counted, named in a warning on the bus, and left out. Images
 * keep their sizes: caps change at any buffer. EXIF orientation is not applied, transparency is
 * dropped.
 *
 * |[
 * gst-launch-1.0 seedimagesrc location=photos epochs=2 max-fps=1 ! videoconvert ! videoscale !
 * autovideosink
 * ]|
 *
 * Since: 0.1
 */
#include <gst/base/gstpushsrc.h>
#include <gst/gst.h>
#include <gst/video/video.h>
#include <seed/error.h>

#include "core/event.h"
#include "core/stream-meta.h"
#include "decode/streams.h"
#include "source/imagedecoder.h"
#include "source/imagefile.h"
#include "source/imageset.h"

GST_DEBUG_CATEGORY_STATIC (seed_image_src_debug);
#define GST_CAT_DEFAULT seed_image_src_debug

#define DEFAULT_LABELS "folders"
#define DEFAULT_EPOCHS 1
#define DEFAULT_SHUFFLE TRUE
#define DEFAULT_SEED 0
#define DEFAULT_MAX_FPS 0.0
#define DEFAULT_STREAM "images"
#define MAX_MAX_FPS 100000.0
/* Broken files that are named on the bus; all are counted and logged. */
#define MAX_WARNINGS 20

enum {
  PROP_0,
  PROP_LOCATION,
  PROP_LABELS,
  PROP_EPOCHS,
  PROP_SHUFFLE,
  PROP_SEED,
  PROP_MAX_FPS,
  PROP_STREAM,
  PROP_CLASSES,
  PROP_LEDGER,
  PROP_STATS,
};

#define SEED_TYPE_IMAGE_SRC (seed_image_src_get_type ())
G_DECLARE_FINAL_TYPE (SeedImageSrc, seed_image_src, SEED, IMAGE_SRC, GstPushSrc)

struct _SeedImageSrc {
  GstPushSrc parent;

  /* properties, under the object lock */
  char *location, *labels, *stream;
  guint64 epochs, seed;
  gboolean shuffle;
  double max_fps;

  SeedLedger *ledger;
  SeedImageSet *set;      /* while started; replaced under the object lock, as is the cursor */
  SeedImageCursor cursor; /* moved under the object lock */

  GMutex pace_lock;
  GCond pace_cond;
  gboolean is_playing, is_unlocked; /* under pace_lock */

  /* the streaming thread's, between start and stop */
  char *id; /* of the stream */
  double fps;
  SeedImageDecoder *decoder;
  GstVideoInfo info; /* of the caps that were set */
  gboolean has_caps;
  gboolean in_hand; /* an image was made, and has not left yet */
  guint64 n_taken, n_shown, n_warnings;
};

static GstStaticPadTemplate src_template =
    GST_STATIC_PAD_TEMPLATE ("src", GST_PAD_SRC, GST_PAD_ALWAYS,
        GST_STATIC_CAPS ("video/x-raw, format=(string){ I420, RGB }, width=(int)[ 1, 16384 ], "
                         "height=(int)[ 1, 16384 ], framerate=(fraction)[ 0/1, 2147483647/1 ]"));

G_DEFINE_TYPE (SeedImageSrc, seed_image_src, GST_TYPE_PUSH_SRC)
GST_ELEMENT_REGISTER_DECLARE (seedimagesrc)
GST_ELEMENT_REGISTER_DEFINE (seedimagesrc, "seedimagesrc", GST_RANK_NONE, SEED_TYPE_IMAGE_SRC)

static void
seed_image_src_set_property (GObject *object, guint id, const GValue *value, GParamSpec *pspec)
{
  SeedImageSrc *self = SEED_IMAGE_SRC (object);

  GST_OBJECT_LOCK (self);
  switch (id) {
  case PROP_LOCATION:
    g_free (self->location);
    self->location = g_value_dup_string (value);
    break;
  case PROP_LABELS:
    g_free (self->labels);
    self->labels = g_value_dup_string (value);
    break;
  case PROP_EPOCHS:
    self->epochs = g_value_get_uint64 (value);
    break;
  case PROP_SHUFFLE:
    self->shuffle = g_value_get_boolean (value);
    break;
  case PROP_SEED:
    self->seed = g_value_get_uint64 (value);
    break;
  case PROP_MAX_FPS:
    self->max_fps = g_value_get_double (value);
    break;
  case PROP_STREAM:
    g_free (self->stream);
    self->stream = g_value_dup_string (value);
    break;
  default:
    G_OBJECT_WARN_INVALID_PROPERTY_ID (object, id, pspec);
  }
  GST_OBJECT_UNLOCK (self);
}

/* under the object lock */
static GstStructure *
make_stats (SeedImageSrc *self)
{
  guint n = self->set ? seed_image_set_n_images (self->set) : 0;

  return gst_structure_new ("application/x-seed-stats", "images", G_TYPE_UINT, n, "ignored-files",
      G_TYPE_UINT, self->set ? seed_image_set_n_ignored (self->set) : 0, "classes", G_TYPE_UINT,
      self->set ? g_strv_length ((char **) seed_image_set_get_classes (self->set)) : 0, "epoch",
      G_TYPE_UINT64, self->cursor.epoch, "index", G_TYPE_UINT, self->cursor.index, NULL);
}

static void
seed_image_src_get_property (GObject *object, guint id, GValue *value, GParamSpec *pspec)
{
  SeedImageSrc *self = SEED_IMAGE_SRC (object);

  GST_OBJECT_LOCK (self);
  switch (id) {
  case PROP_LOCATION:
    g_value_set_string (value, self->location);
    break;
  case PROP_LABELS:
    g_value_set_string (value, self->labels);
    break;
  case PROP_EPOCHS:
    g_value_set_uint64 (value, self->epochs);
    break;
  case PROP_SHUFFLE:
    g_value_set_boolean (value, self->shuffle);
    break;
  case PROP_SEED:
    g_value_set_uint64 (value, self->seed);
    break;
  case PROP_MAX_FPS:
    g_value_set_double (value, self->max_fps);
    break;
  case PROP_STREAM:
    g_value_set_string (value, self->stream);
    break;
  case PROP_CLASSES:
    g_value_set_boxed (value, self->set ? seed_image_set_get_classes (self->set) : NULL);
    break;
  case PROP_LEDGER:
    g_value_set_boxed (value, self->ledger);
    break;
  case PROP_STATS:
    g_value_take_boxed (value, make_stats (self));
    break;
  default:
    G_OBJECT_WARN_INVALID_PROPERTY_ID (object, id, pspec);
  }
  GST_OBJECT_UNLOCK (self);
}

/* --- start and stop --------------------------------------------------------------------------- */

static gboolean
check_settings (SeedImageSrc *self, SeedImageLabels *labels, char **location, GError **error)
{
  gboolean ok = FALSE;

  GST_OBJECT_LOCK (self);
  if (!self->location || !*self->location) {
    g_set_error (error, SEED_ERROR, SEED_ERROR_INVALID,
        "location is not set; give a folder of images or a list file");
  } else if (g_strcmp0 (self->labels, "folders") != 0 && g_strcmp0 (self->labels, "none") != 0) {
    g_set_error (error, SEED_ERROR, SEED_ERROR_INVALID,
        "labels \"%s\" is not known; use folders or none", self->labels ? self->labels : "");
  } else if (!seed_stream_id_is_valid (self->stream)) {
    g_set_error (error, SEED_ERROR, SEED_ERROR_INVALID,
        "stream \"%s\" is not a stream id; use 1 to 63 of a-z, 0-9 and -",
        self->stream ? self->stream : "");
  } else {
    *labels =
        g_str_equal (self->labels, "none") ? SEED_IMAGE_LABELS_NONE : SEED_IMAGE_LABELS_FOLDERS;
    *location = g_strdup (self->location);
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
begin_run (SeedImageSrc *self, SeedImageSet *set)
{
  GST_OBJECT_LOCK (self);
  self->set = set;
  seed_image_cursor_init (
      &self->cursor, seed_image_set_n_images (set), self->epochs, self->shuffle, self->seed);
  self->id = g_strdup (self->stream);
  self->fps = self->max_fps;
  GST_OBJECT_UNLOCK (self);
  self->decoder = seed_image_decoder_new ();
  self->has_caps = FALSE;
  self->n_taken = self->n_shown = self->n_warnings = 0;
}

static gboolean
seed_image_src_start (GstBaseSrc *base)
{
  SeedImageSrc *self = SEED_IMAGE_SRC (base);
  SeedImageLabels labels = SEED_IMAGE_LABELS_NONE;
  g_autofree char *location = NULL;
  g_autoptr (GError) error = NULL;
  SeedImageSet *set = NULL;

  if (check_settings (self, &labels, &location, &error))
    set = seed_image_set_open (location, labels, &error);
  if (!set) {
    GST_ELEMENT_ERROR (
        self, RESOURCE, SETTINGS, ("%s: %s", GST_OBJECT_NAME (self), error->message), (NULL));
    return FALSE;
  }
  begin_run (self, set);
  warn_of_problems (self, set);
  return TRUE;
}

/* The base class waits for the clock with an image in its hand, and drops it when it is stopped. */
static void
drop_in_hand (SeedImageSrc *self)
{
  if (self->in_hand)
    seed_ledger_drop (self->ledger, self->id, SEED_DROP_FLUSHED, 1);
  self->in_hand = FALSE;
}

static gboolean
seed_image_src_stop (GstBaseSrc *base)
{
  SeedImageSrc *self = SEED_IMAGE_SRC (base);

  drop_in_hand (self);
  GST_OBJECT_LOCK (self);
  g_clear_pointer (&self->set, seed_image_set_free);
  seed_image_cursor_clear (&self->cursor);
  GST_OBJECT_UNLOCK (self);
  g_clear_pointer (&self->decoder, seed_image_decoder_free);
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
  seed_image_decoder_set_formats (self->decoder, takes_i420, takes_rgb);
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

static GstBuffer *
load (SeedImageSrc *self, guint image, GstVideoInfo *info, GError **error)
{
  g_autofree char *path = seed_image_set_dup_path (self->set, image);
  g_autoptr (GBytes) file = seed_image_file_read (path, error);
  GstBuffer *buffer;

  if (!file)
    return NULL;
  buffer = seed_image_decoder_run (self->decoder, file, info, error);
  if (!buffer) {
    g_autofree char *shown = g_filename_display_name (path);

    g_prefix_error (error, "%s: ", shown);
  }
  return buffer;
}

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
dress (SeedImageSrc *self, GstBuffer *buffer, guint image)
{
  GstBuffer *frame = gst_buffer_make_writable (buffer);
  SeedStreamMeta *meta = seed_buffer_add_stream_meta (frame);
  GstClockTime length = GST_CLOCK_TIME_NONE, pts = GST_CLOCK_TIME_NONE;

  if (self->fps > 0) { /* images have no time of their own; a pace gives them one */
    length = (GstClockTime) (GST_SECOND / self->fps);
    pts = (GstClockTime) ((double) self->n_shown * GST_SECOND / self->fps);
  }
  GST_BUFFER_PTS (frame) = pts;
  GST_BUFFER_DTS (frame) = GST_CLOCK_TIME_NONE;
  GST_BUFFER_DURATION (frame) = length;
  g_strlcpy (meta->stream, self->id, sizeof meta->stream);
  meta->frame = self->n_taken - 1;
  meta->pts = pts;
  meta->capture_ns = seed_realtime_ns ();
  meta->label = seed_image_set_get_label (self->set, image);
  meta->dropped = seed_ledger_dropped (self->ledger, self->id);
  return frame;
}

static gboolean
next_image (SeedImageSrc *self, guint *image)
{
  gboolean more;

  GST_OBJECT_LOCK (self);
  more = seed_image_cursor_next (&self->cursor, image);
  GST_OBJECT_UNLOCK (self);
  return more;
}

static gboolean
is_hopeless (SeedImageSrc *self)
{
  if (self->n_shown > 0 || self->n_taken < seed_image_set_n_images (self->set))
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

  self->in_hand = FALSE;
  seed_ledger_out (self->ledger, self->id, 1);
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

static GstFlowReturn
seed_image_src_create (GstPushSrc *push, GstBuffer **buffer)
{
  SeedImageSrc *self = SEED_IMAGE_SRC (push);
  GstVideoInfo info;
  guint image;

  drop_in_hand (self);
  if (!wait_for_playing (self))
    return GST_FLOW_FLUSHING;
  for (;;) {
    g_autoptr (GError) error = NULL;
    gint64 start = g_get_monotonic_time ();
    GstBuffer *frame;

    if (GST_PAD_IS_FLUSHING (GST_BASE_SRC_PAD (self)))
      return GST_FLOW_FLUSHING;
    if (is_hopeless (self))
      return GST_FLOW_ERROR;
    if (!next_image (self, &image))
      return GST_FLOW_EOS;
    self->n_taken++;
    seed_ledger_in (self->ledger, self->id, 1);
    frame = load (self, image, &info, &error);
    if (!frame) {
      drop_image (self, error->message);
      continue;
    }
    frame = dress (self, frame, image);
    seed_ledger_busy (self->ledger, (guint64) (g_get_monotonic_time () - start) * 1000);
    if (!set_caps (self, &info)) {
      gst_buffer_unref (frame);
      seed_ledger_drop (self->ledger, self->id, SEED_DROP_ERROR, 1);
      return GST_FLOW_NOT_NEGOTIATED;
    }
    self->n_shown++;
    self->in_hand = TRUE;
    *buffer = frame;
    return GST_FLOW_OK;
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
  return TRUE;
}

static gboolean
seed_image_src_unlock_stop (GstBaseSrc *base)
{
  set_flag (SEED_IMAGE_SRC (base), &SEED_IMAGE_SRC (base)->is_unlocked, FALSE);
  return TRUE;
}

static GstStateChangeReturn
seed_image_src_change_state (GstElement *element, GstStateChange transition)
{
  SeedImageSrc *self = SEED_IMAGE_SRC (element);
  GstStateChangeReturn ret;

  if (transition == GST_STATE_CHANGE_PLAYING_TO_PAUSED)
    set_flag (self, &self->is_playing, FALSE);
  ret = GST_ELEMENT_CLASS (seed_image_src_parent_class)->change_state (element, transition);
  if (transition == GST_STATE_CHANGE_PAUSED_TO_PLAYING && ret != GST_STATE_CHANGE_FAILURE)
    set_flag (self, &self->is_playing, TRUE);
  return ret;
}

/* --- class ------------------------------------------------------------------------------------ */

static void
seed_image_src_finalize (GObject *object)
{
  SeedImageSrc *self = SEED_IMAGE_SRC (object);

  g_free (self->location);
  g_free (self->labels);
  g_free (self->stream);
  g_cond_clear (&self->pace_cond);
  g_mutex_clear (&self->pace_lock);
  seed_ledger_unref (self->ledger);
  G_OBJECT_CLASS (seed_image_src_parent_class)->finalize (object);
}

static void
install_properties (GObjectClass *klass)
{
  const GParamFlags settable = G_PARAM_READWRITE | G_PARAM_STATIC_STRINGS | GST_PARAM_MUTABLE_READY;
  const GParamFlags readable = G_PARAM_READABLE | G_PARAM_STATIC_STRINGS;

  g_object_class_install_property (klass, PROP_LOCATION,
      g_param_spec_string ("location", "Location",
          "Folder of images, with all below it, or list file with one path[,label] a line", NULL,
          settable));
  g_object_class_install_property (klass, PROP_LABELS,
      g_param_spec_string ("labels", "Labels",
          "folders: the class is the folder below location, or the label in the list; none: -1",
          DEFAULT_LABELS, settable));
  g_object_class_install_property (klass, PROP_EPOCHS,
      g_param_spec_uint64 ("epochs", "Epochs", "Times to go through all images; 0 for ever", 0,
          G_MAXUINT64, DEFAULT_EPOCHS, settable));
  g_object_class_install_property (klass, PROP_SHUFFLE,
      g_param_spec_boolean ("shuffle", "Shuffle",
          "A new random order for each epoch instead of the order of the names", DEFAULT_SHUFFLE,
          settable));
  g_object_class_install_property (klass, PROP_SEED,
      g_param_spec_uint64 ("seed", "Seed", "Of the random orders; the same seed, the same orders",
          0, G_MAXUINT64, DEFAULT_SEED, settable));
  g_object_class_install_property (klass, PROP_MAX_FPS,
      g_param_spec_double ("max-fps", "Maximum frame rate",
          "Images a second by the pipeline's clock; 0 is as fast as they are taken", 0, MAX_MAX_FPS,
          DEFAULT_MAX_FPS, settable));
  g_object_class_install_property (klass, PROP_STREAM,
      g_param_spec_string ("stream", "Stream",
          "Id of the stream of images: 1 to 63 of a-z, 0-9 and -", DEFAULT_STREAM, settable));
  g_object_class_install_property (klass, PROP_CLASSES,
      g_param_spec_boxed ("classes", "Classes",
          "Names of the classes by label, from PAUSED on; empty when labels have no names",
          G_TYPE_STRV, readable));
  g_object_class_install_property (klass, PROP_LEDGER,
      g_param_spec_boxed ("ledger", "Ledger",
          "Images in, out and dropped; busy is the time to read and decode one", SEED_TYPE_LEDGER,
          readable));
  g_object_class_install_property (klass, PROP_STATS,
      g_param_spec_boxed ("stats", "Statistics",
          "images, ignored-files, classes; epoch and index: the image that comes next",
          GST_TYPE_STRUCTURE, readable));
}

static void
seed_image_src_class_init (SeedImageSrcClass *klass)
{
  GObjectClass *object_class = G_OBJECT_CLASS (klass);
  GstElementClass *element_class = GST_ELEMENT_CLASS (klass);
  GstBaseSrcClass *base_class = GST_BASE_SRC_CLASS (klass);

  GST_DEBUG_CATEGORY_INIT (seed_image_src_debug, "seedimagesrc", 0, "SEED image source");
  object_class->set_property = seed_image_src_set_property;
  object_class->get_property = seed_image_src_get_property;
  object_class->finalize = seed_image_src_finalize;
  install_properties (object_class);
  element_class->change_state = GST_DEBUG_FUNCPTR (seed_image_src_change_state);
  gst_element_class_add_static_pad_template (element_class, &src_template);
  gst_element_class_set_static_metadata (element_class, "SEED image source", "Source/Image",
      "Images of a folder with labels, in shuffled epochs", "SEED");
  base_class->start = GST_DEBUG_FUNCPTR (seed_image_src_start);
  base_class->stop = GST_DEBUG_FUNCPTR (seed_image_src_stop);
  base_class->negotiate = GST_DEBUG_FUNCPTR (seed_image_src_negotiate);
  base_class->unlock = GST_DEBUG_FUNCPTR (seed_image_src_unlock);
  base_class->unlock_stop = GST_DEBUG_FUNCPTR (seed_image_src_unlock_stop);
  base_class->get_times = GST_DEBUG_FUNCPTR (seed_image_src_get_times);
  base_class->is_seekable = GST_DEBUG_FUNCPTR (seed_image_src_is_seekable);
  GST_PUSH_SRC_CLASS (klass)->create = GST_DEBUG_FUNCPTR (seed_image_src_create);
}

static void
seed_image_src_init (SeedImageSrc *self)
{
  g_mutex_init (&self->pace_lock);
  g_cond_init (&self->pace_cond);
  self->ledger = seed_ledger_new ();
  self->labels = g_strdup (DEFAULT_LABELS);
  self->stream = g_strdup (DEFAULT_STREAM);
  self->epochs = DEFAULT_EPOCHS;
  self->shuffle = DEFAULT_SHUFFLE;
  self->seed = DEFAULT_SEED;
  self->max_fps = DEFAULT_MAX_FPS;
  gst_base_src_set_format (GST_BASE_SRC (self), GST_FORMAT_TIME);
  gst_pad_add_probe (GST_BASE_SRC_PAD (self), GST_PAD_PROBE_TYPE_BUFFER, on_leaving, self, NULL);
}
