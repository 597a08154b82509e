/* SPDX-License-Identifier: MIT */
/**
 * SECTION:element-seedimagesrc
 * @title: seedimagesrc
 *
 * Shows the images of a folder, a tar file, CIFAR batches or a list, epoch after epoch, each with a
 * stream meta (its number in the run and the label of its class) and, when it has captions, a
 * caption meta. The order of an epoch is a permutation that depends on the seed and the epoch
 * alone, so a run that is given start-at shows the very frames that would have followed. With
 * max-fps its times begin at 0 again.
 *
 * Images are read and decoded ahead of their use in threads. Those of the first epoch are kept, up
 * to cache-mb, so that later epochs need not decode them again; with and without, frames are the
 * same.
 *
 * A file that cannot be decoded is counted, named in a warning on the bus, and left out. Images
 * keep their sizes: caps change at any buffer. EXIF orientation is not applied, transparency is
 * dropped.
 *
 * |[
 * gst-launch-1.0 seedimagesrc location=photos epochs=2 max-fps=1 ! videoconvert ! videoscale !
 * autovideosink
 * gst-launch-1.0 seedimagesrc location=train.tar.gz epochs=10 max-size=256 cache-mb=512 !
 * seedpatchify batch=32 image-size=64 patch-size=16 ! fakesink
 * ]|
 *
 * Since: 0.1
 */
#include <gst/gst.h>

#include "source/imagedecoder.h"
#include "source/seedimagesrc.h"

GST_DEBUG_CATEGORY (seed_image_src_debug);
#define GST_CAT_DEFAULT seed_image_src_debug

#define DEFAULT_LABELS "folders"
#define DEFAULT_EPOCHS 1
#define DEFAULT_SHUFFLE TRUE
#define DEFAULT_SEED 0
#define DEFAULT_MAX_FPS 0.0
#define DEFAULT_STREAM "images"
#define MAX_MAX_FPS 100000.0
#define DEFAULT_MAX_SIZE 0
#define DEFAULT_CACHE_MB 256
#define MAX_CACHE_MB (16 * 1024 * 1024)
#define DEFAULT_THREADS 0
#define DEFAULT_AHEAD 64
#define DEFAULT_START_AT 0

enum {
  PROP_0,
  PROP_LOCATION,
  PROP_LABELS,
  PROP_CAPTIONS,
  PROP_EPOCHS,
  PROP_SHUFFLE,
  PROP_SEED,
  PROP_MAX_FPS,
  PROP_STREAM,
  PROP_MAX_SIZE,
  PROP_CACHE_MB,
  PROP_THREADS,
  PROP_AHEAD,
  PROP_START_AT,
  PROP_CLASSES,
  PROP_LEDGER,
  PROP_STATS,
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
  case PROP_CAPTIONS:
    g_free (self->captions);
    self->captions = g_value_dup_string (value);
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
  case PROP_MAX_SIZE:
    self->max_size = g_value_get_uint (value);
    break;
  case PROP_CACHE_MB:
    self->cache_mb = g_value_get_uint (value);
    break;
  case PROP_THREADS:
    self->threads = g_value_get_uint (value);
    break;
  case PROP_AHEAD:
    self->ahead = g_value_get_uint (value);
    break;
  case PROP_START_AT:
    self->start_at = g_value_get_uint64 (value);
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
  static const char *const none[] = { NULL };
  const SeedImageSet *set = self->set;
  guint n = set ? seed_image_set_n_images (set) : 0;
  const char *const *classes = set ? seed_image_set_get_classes (set) : none;
  SeedImageLoader *loader = self->loader;

  return gst_structure_new ("application/x-seed-stats", "images", G_TYPE_UINT, n, "ignored-files",
      G_TYPE_UINT, set ? seed_image_set_n_ignored (set) : 0, "captioned", G_TYPE_UINT,
      set ? seed_image_set_n_captioned (set) : 0, "classes", G_TYPE_UINT,
      g_strv_length ((char **) classes), "class-names", G_TYPE_STRV, classes, "epoch",
      G_TYPE_UINT64, n > 0 ? self->position / n : 0, "index", G_TYPE_UINT,
      n > 0 ? (guint) (self->position % n) : 0, "next", G_TYPE_UINT64, self->position, "decoded",
      G_TYPE_UINT64, loader ? seed_image_loader_n_decoded (loader) : 0, "cached-images",
      G_TYPE_UINT, loader ? seed_image_loader_n_cached (loader) : 0, "cached-bytes", G_TYPE_UINT64,
      loader ? seed_image_loader_cache_bytes (loader) : 0, NULL);
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
  case PROP_CAPTIONS:
    g_value_set_string (value, self->captions);
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
  case PROP_MAX_SIZE:
    g_value_set_uint (value, self->max_size);
    break;
  case PROP_CACHE_MB:
    g_value_set_uint (value, self->cache_mb);
    break;
  case PROP_THREADS:
    g_value_set_uint (value, self->threads);
    break;
  case PROP_AHEAD:
    g_value_set_uint (value, self->ahead);
    break;
  case PROP_START_AT:
    g_value_set_uint64 (value, self->start_at);
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

/* --- class ------------------------------------------------------------------------------------ */

static void
seed_image_src_finalize (GObject *object)
{
  SeedImageSrc *self = SEED_IMAGE_SRC (object);

  g_free (self->location);
  g_free (self->labels);
  g_free (self->captions);
  g_free (self->stream);
  g_cond_clear (&self->pace_cond);
  g_mutex_clear (&self->pace_lock);
  seed_ledger_unref (self->ledger);
  G_OBJECT_CLASS (seed_image_src_parent_class)->finalize (object);
}

static void
install_loading_properties (GObjectClass *klass, GParamFlags settable)
{
  g_object_class_install_property (klass, PROP_MAX_SIZE,
      g_param_spec_uint ("max-size", "Maximum size",
          "Pixels on the longest side; larger images are scaled down to it (Lanczos); 0: any", 0,
          SEED_IMAGE_MAX_SIDE, DEFAULT_MAX_SIZE, settable));
  g_object_class_install_property (klass, PROP_CACHE_MB,
      g_param_spec_uint ("cache-mb", "Cache",
          "MiB of decoded (and scaled) images to keep for later epochs; unused with epochs=1; 0: "
          "off",
          0, MAX_CACHE_MB, DEFAULT_CACHE_MB, settable));
  g_object_class_install_property (klass, PROP_THREADS,
      g_param_spec_uint ("threads", "Threads",
          "Threads that read and decode; 0: one per processor, 4 at most; frames do not depend on "
          "it",
          0, SEED_IMAGE_LOADER_MAX_THREADS, DEFAULT_THREADS, settable));
  g_object_class_install_property (klass, PROP_AHEAD,
      g_param_spec_uint ("ahead", "Ahead",
          "Images that are decoded before they are asked for, within about 256 MiB", 1,
          SEED_IMAGE_LOADER_MAX_AHEAD, DEFAULT_AHEAD, settable));
  g_object_class_install_property (klass, PROP_START_AT,
      g_param_spec_uint64 ("start-at", "Start at",
          "Images of the run to pass over without decoding them: the number of the first frame", 0,
          G_MAXUINT64, DEFAULT_START_AT, settable));
}

static void
install_properties (GObjectClass *klass)
{
  const GParamFlags settable = G_PARAM_READWRITE | G_PARAM_STATIC_STRINGS | GST_PARAM_MUTABLE_READY;
  const GParamFlags readable = G_PARAM_READABLE | G_PARAM_STATIC_STRINGS;

  g_object_class_install_property (klass, PROP_LOCATION,
      g_param_spec_string ("location", "Location",
          "Folder of images with all below it, tar file (plain or gzip), CIFAR binary batch or "
          "folder "
          "of them, or list file with one path[,label] or path[<TAB>label] a line",
          NULL, settable));
  g_object_class_install_property (klass, PROP_LABELS,
      g_param_spec_string ("labels", "Labels",
          "folders: the set's own, which are the folders below location, the labels in the list, "
          "or "
          "the label bytes; none: -1; else a file: path<TAB>label, one class name, or one label of "
          "an image a line",
          DEFAULT_LABELS, settable));
  g_object_class_install_property (klass, PROP_CAPTIONS,
      g_param_spec_string ("captions", "Captions",
          "File with image<TAB>caption or image<TAB>number<TAB>caption a line, several lines for "
          "several captions; may be the location itself; empty: none",
          NULL, settable));
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
  install_loading_properties (klass, settable);
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
          "images, ignored-files, captioned (images), classes, class-names; epoch, index and next "
          "(in the run): the image that comes next; decoded, cached-images, cached-bytes",
          GST_TYPE_STRUCTURE, readable));
}

static void
seed_image_src_class_init (SeedImageSrcClass *klass)
{
  GObjectClass *object_class = G_OBJECT_CLASS (klass);
  GstElementClass *element_class = GST_ELEMENT_CLASS (klass);

  GST_DEBUG_CATEGORY_INIT (seed_image_src_debug, "seedimagesrc", 0, "SEED image source");
  object_class->set_property = seed_image_src_set_property;
  object_class->get_property = seed_image_src_get_property;
  object_class->finalize = seed_image_src_finalize;
  install_properties (object_class);
  seed_image_src_run_class_init (klass);
  gst_element_class_add_static_pad_template (element_class, &src_template);
  gst_element_class_set_static_metadata (element_class, "SEED image source", "Source/Image",
      "Images of folders, archives, batches and lists with labels and captions, in shuffled epochs",
      "SEED");
}

static void
seed_image_src_init (SeedImageSrc *self)
{
  self->ledger = seed_ledger_new ();
  self->labels = g_strdup (DEFAULT_LABELS);
  self->stream = g_strdup (DEFAULT_STREAM);
  self->epochs = DEFAULT_EPOCHS;
  self->shuffle = DEFAULT_SHUFFLE;
  self->seed = DEFAULT_SEED;
  self->max_fps = DEFAULT_MAX_FPS;
  self->max_size = DEFAULT_MAX_SIZE;
  self->cache_mb = DEFAULT_CACHE_MB;
  self->threads = DEFAULT_THREADS;
  self->ahead = DEFAULT_AHEAD;
  self->start_at = DEFAULT_START_AT;
  seed_image_src_run_init (self);
}
