/* SPDX-License-Identifier: MIT */

/**
 * SECTION:element-seedfusion
 * @title: seedfusion
 * @short_description: several teachers' features to one target or one representation
 *
 * Whitens the summaries of every teacher linked to it and fuses them. `strategy` decides how, and
 * what comes out: similarities of two views (application/x-seed-affinity, the target a student
 * learns from) or one feature vector a view (application/x-seed-features).
 *
 * The whitening is fitted on the first `calibration` frames, then frozen; with a `whitening` file
 * it is saved, and loaded at the next start. Until then, for a batch that some teacher left out,
 * and for a batch that a teacher marks as a gap, an empty buffer with flag GAP leaves in place of
 * the target, with the same offset and stream metas: every batch that comes leaves once, in order.
 * Before the whitening is there, caps of features carry the largest width they can get; the exact
 * ones follow with the first features.
 *
 * Teachers are paired by buffer offset; they must hang on the same patchify, or on several that cut
 * the same batches. Put a queue in front of every sink pad: at most two batches wait on one.
 * Events come from the sink pad of the lowest number.
 *
 * |[
 * gst-launch-1.0 seedimagesrc location=images ! seedpatchify views=2 batch=32 augment=true ! tee
 * name=t t. ! queue ! seedteacher model=clip ! queue ! f.sink_0 t. ! queue ! seedteacher model=dino
 * ! queue ! f.sink_1 seedfusion name=f strategy=max-min calibration=1000 ! fakesink
 * ]|
 *
 * Since: 0.1
 */

#include "fusion/seedfusion-private.h"

GST_DEBUG_CATEGORY_STATIC (seed_fusion_debug);
#define GST_CAT_DEFAULT seed_fusion_debug

#define DEFAULT_STRATEGY "max-min"
#define DEFAULT_CALIBRATION 10000
#define DEFAULT_WHITENING NULL
#define DEFAULT_DUPLICATE_WINDOW_MS 2000
#define DEFAULT_DUPLICATE_COSINE 0.94
#define DEFAULT_SEED 0

enum {
  PROP_0,
  PROP_STRATEGY,
  PROP_CALIBRATION,
  PROP_EIGENVALUE_FLOOR,
  PROP_WHITENING,
  PROP_DUPLICATE_WINDOW_MS,
  PROP_DUPLICATE_COSINE,
  PROP_SEED,
  PROP_LEDGER,
  PROP_STATS,
};

static GstStaticPadTemplate sink_template = GST_STATIC_PAD_TEMPLATE (
    "sink_%u", GST_PAD_SINK, GST_PAD_REQUEST, GST_STATIC_CAPS (SEED_FEATURES_TEMPLATE_CAPS));
static GstStaticPadTemplate src_template = GST_STATIC_PAD_TEMPLATE ("src", GST_PAD_SRC,
    GST_PAD_ALWAYS, GST_STATIC_CAPS (SEED_AFFINITY_TEMPLATE_CAPS "; " SEED_FEATURES_TEMPLATE_CAPS));

G_DEFINE_TYPE (SeedFusionPad, seed_fusion_pad, GST_TYPE_PAD)
G_DEFINE_TYPE_WITH_CODE (SeedFusion, seed_fusion, GST_TYPE_ELEMENT,
    GST_DEBUG_CATEGORY_INIT (seed_fusion_debug, "seedfusion", 0, "fusion of teachers"))
GST_ELEMENT_REGISTER_DEFINE (seedfusion, "seedfusion", GST_RANK_NONE, SEED_TYPE_FUSION)

static void seed_fusion_set_property (GObject *, guint, const GValue *, GParamSpec *);
static void seed_fusion_get_property (GObject *, guint, GValue *, GParamSpec *);
static void seed_fusion_finalize (GObject *);
static GstPad *
seed_fusion_request_new_pad (GstElement *, GstPadTemplate *, const gchar *, const GstCaps *);
static void seed_fusion_release_pad (GstElement *, GstPad *);
static GstStateChangeReturn seed_fusion_change_state (GstElement *, GstStateChange);

static void
seed_fusion_pad_class_init (SeedFusionPadClass *klass)
{
}

static void
seed_fusion_pad_init (SeedFusionPad *pad)
{
}

static void
install_properties (GObjectClass *object_class)
{
  GParamFlags flags = G_PARAM_READWRITE | G_PARAM_STATIC_STRINGS | GST_PARAM_MUTABLE_READY;

  g_object_class_install_property (object_class, PROP_STRATEGY,
      g_param_spec_string ("strategy", "Strategy",
          "How teachers are fused. To an affinity of two views: max-min, mean, max-mean, min-max, "
          "random, single:NAME (NAME of a teacher's element). To features: concat, mean-feature, "
          "max-feature, min-feature, median-feature. The default max-min lets the most confident "
          "teacher speak for a positive pair and the most sceptical for a negative one",
          DEFAULT_STRATEGY, flags));
  g_object_class_install_property (object_class, PROP_CALIBRATION,
      g_param_spec_uint ("calibration", "Calibration",
          "Frames the whitening is fitted on before there is any target; several times the width "
          "of the widest summary is wise, 10000 (the default) suits every teacher",
          SEED_WHITENING_MIN_SAMPLES, G_MAXUINT, DEFAULT_CALIBRATION, flags));
  g_object_class_install_property (object_class, PROP_EIGENVALUE_FLOOR,
      g_param_spec_double ("eigenvalue-floor", "Eigenvalue floor",
          "Share of the largest eigenvalue that the whitening takes none smaller than: directions "
          "in which a teacher says less are taken for noise and not blown up",
          1e-9, 1.0, SEED_WHITENING_EIGENVALUE_FLOOR, flags));
  g_object_class_install_property (object_class, PROP_WHITENING,
      g_param_spec_string ("whitening", "Whitening file",
          "Safetensors file of the fitted whitening: loaded when it exists at the start (then "
          "there is no calibration), written once it is fitted. Unset (the default): fitted at "
          "every "
          "start",
          DEFAULT_WHITENING, flags));
  g_object_class_install_property (object_class, PROP_DUPLICATE_WINDOW_MS,
      g_param_spec_uint ("duplicate-window-ms", "Duplicate window",
          "Two frames of a stream less than so many milliseconds apart by PTS are no "
          "negative pair; frames without a PTS (images of a set) are not compared. 0 turns it off",
          0, G_MAXUINT, DEFAULT_DUPLICATE_WINDOW_MS, flags));
  g_object_class_install_property (object_class, PROP_DUPLICATE_COSINE,
      g_param_spec_double ("duplicate-cosine", "Duplicate cosine",
          "Two frames whose teachers' mean whitened cosine is above this are no negative pair. "
          "1 turns it off",
          -1, 1, DEFAULT_DUPLICATE_COSINE, flags));
  g_object_class_install_property (object_class, PROP_SEED,
      g_param_spec_uint64 ("seed", "Seed",
          "Of the draws of strategy random, a function of seed, streams and frame numbers alone", 0,
          G_MAXUINT64, DEFAULT_SEED, flags));
  g_object_class_install_property (object_class, PROP_LEDGER,
      g_param_spec_boxed ("ledger", "Ledger",
          "Frames in, out and dropped per stream (a frame counts once, however many teachers saw "
          "it) and the time busy per batch",
          SEED_TYPE_LEDGER, G_PARAM_READABLE | G_PARAM_STATIC_STRINGS));
  g_object_class_install_property (object_class, PROP_STATS,
      g_param_spec_boxed ("stats", "Statistics",
          "calibrated (boolean), calibration-frames (taken so far), fused and unpaired (batches); "
          "teachers with their diagonal and off-diagonal shares of wins and the masked share, "
          "0..1, "
          "since stats was read last",
          GST_TYPE_STRUCTURE, G_PARAM_READABLE | G_PARAM_STATIC_STRINGS));
}

static void
seed_fusion_class_init (SeedFusionClass *klass)
{
  GObjectClass *object_class = G_OBJECT_CLASS (klass);
  GstElementClass *element_class = GST_ELEMENT_CLASS (klass);

  object_class->set_property = seed_fusion_set_property;
  object_class->get_property = seed_fusion_get_property;
  object_class->finalize = seed_fusion_finalize;
  install_properties (object_class);

  element_class->request_new_pad = seed_fusion_request_new_pad;
  element_class->release_pad = seed_fusion_release_pad;
  element_class->change_state = seed_fusion_change_state;
  gst_element_class_add_static_pad_template_with_gtype (
      element_class, &sink_template, SEED_TYPE_FUSION_PAD);
  gst_element_class_add_static_pad_template (element_class, &src_template);
  gst_element_class_set_static_metadata (element_class, "SEED teacher fusion", "Filter/Analyzer",
      "Whitens the features of several teachers and fuses them to one target or representation",
      "SEED");
  gst_type_mark_as_plugin_api (SEED_TYPE_FUSION_PAD, 0);
}

static void
seed_fusion_init (SeedFusion *self)
{
  self->src = gst_pad_new_from_static_template (&src_template, "src");
  gst_pad_use_fixed_caps (self->src);
  gst_element_add_pad (GST_ELEMENT (self), self->src);

  g_mutex_init (&self->push_lock);
  g_mutex_init (&self->lock);
  g_cond_init (&self->room);
  g_queue_init (&self->events);
  self->pads = g_ptr_array_new ();
  self->ledger = seed_ledger_new ();
  self->strategy = g_strdup (DEFAULT_STRATEGY);
  self->calibration = DEFAULT_CALIBRATION;
  self->eigenvalue_floor = SEED_WHITENING_EIGENVALUE_FLOOR;
  self->duplicate_window_ms = DEFAULT_DUPLICATE_WINDOW_MS;
  self->duplicate_cosine = DEFAULT_DUPLICATE_COSINE;
}

static void
seed_fusion_finalize (GObject *object)
{
  SeedFusion *self = SEED_FUSION (object);

  seed_ledger_unref (self->ledger);
  g_ptr_array_unref (self->pads);
  g_mutex_clear (&self->push_lock);
  g_mutex_clear (&self->lock);
  g_cond_clear (&self->room);
  g_free (self->strategy);
  g_free (self->whitening);
  G_OBJECT_CLASS (seed_fusion_parent_class)->finalize (object);
}

static void
seed_fusion_set_property (GObject *object, guint id, const GValue *value, GParamSpec *pspec)
{
  SeedFusion *self = SEED_FUSION (object);

  GST_OBJECT_LOCK (self);
  switch (id) {
  case PROP_STRATEGY:
    g_free (self->strategy);
    self->strategy = g_value_dup_string (value);
    break;
  case PROP_CALIBRATION:
    self->calibration = g_value_get_uint (value);
    break;
  case PROP_EIGENVALUE_FLOOR:
    self->eigenvalue_floor = g_value_get_double (value);
    break;
  case PROP_WHITENING:
    g_free (self->whitening);
    self->whitening = g_value_dup_string (value);
    if (self->whitening && !*self->whitening) /* how a graph's parameter says "none" */
      g_clear_pointer (&self->whitening, g_free);
    break;
  case PROP_DUPLICATE_WINDOW_MS:
    self->duplicate_window_ms = g_value_get_uint (value);
    break;
  case PROP_DUPLICATE_COSINE:
    self->duplicate_cosine = g_value_get_double (value);
    break;
  case PROP_SEED:
    self->seed = g_value_get_uint64 (value);
    break;
  default:
    G_OBJECT_WARN_INVALID_PROPERTY_ID (object, id, pspec);
  }
  GST_OBJECT_UNLOCK (self);
}

static GstStructure *
take_stats (SeedFusion *self)
{
  SeedFusionShares shares = { 0 };
  GstStructure *stats;

  g_mutex_lock (&self->lock);
  for (guint i = 0; i < self->pads->len; i++) {
    SeedFusionPad *pad = g_ptr_array_index (self->pads, i);

    shares.teachers[i] = pad->has_info ? pad->info.node : g_intern_string (GST_OBJECT_NAME (pad));
  }
  shares.n_teachers = self->pads->len;
  seed_fusion_tally_shares (
      &self->tally, shares.n_teachers, shares.diagonal, shares.off_diagonal, &shares.masked);
  self->tally = (SeedFusionTally){ 0 };
  stats = gst_structure_new ("application/x-seed-stats", "calibrated", G_TYPE_BOOLEAN,
      self->calibrated, "calibration-frames", G_TYPE_UINT, self->n_calibrated, "fused",
      G_TYPE_UINT64, self->n_fused, "unpaired", G_TYPE_UINT64, self->n_unpaired, NULL);
  g_mutex_unlock (&self->lock);
  seed_fusion_shares_to_structure (&shares, stats);
  return stats;
}

static void
seed_fusion_get_property (GObject *object, guint id, GValue *value, GParamSpec *pspec)
{
  SeedFusion *self = SEED_FUSION (object);

  if (id == PROP_LEDGER) {
    g_value_set_boxed (value, self->ledger);
    return;
  }
  if (id == PROP_STATS) {
    g_value_take_boxed (value, take_stats (self));
    return;
  }
  GST_OBJECT_LOCK (self);
  switch (id) {
  case PROP_STRATEGY:
    g_value_set_string (value, self->strategy);
    break;
  case PROP_CALIBRATION:
    g_value_set_uint (value, self->calibration);
    break;
  case PROP_EIGENVALUE_FLOOR:
    g_value_set_double (value, self->eigenvalue_floor);
    break;
  case PROP_WHITENING:
    g_value_set_string (value, self->whitening);
    break;
  case PROP_DUPLICATE_WINDOW_MS:
    g_value_set_uint (value, self->duplicate_window_ms);
    break;
  case PROP_DUPLICATE_COSINE:
    g_value_set_double (value, self->duplicate_cosine);
    break;
  case PROP_SEED:
    g_value_set_uint64 (value, self->seed);
    break;
  default:
    G_OBJECT_WARN_INVALID_PROPERTY_ID (object, id, pspec);
  }
  GST_OBJECT_UNLOCK (self);
}

const char *
seed_fusion_pad_name (SeedFusion *self, guint index)
{
  const char *name = "?";

  g_mutex_lock (&self->lock);
  if (index < self->pads->len)
    name = g_intern_string (GST_OBJECT_NAME (g_ptr_array_index (self->pads, index)));
  g_mutex_unlock (&self->lock);
  return name;
}

static gint
compare_pads (gconstpointer a, gconstpointer b)
{
  const SeedFusionPad *p = *(SeedFusionPad *const *) a, *q = *(SeedFusionPad *const *) b;

  return p->number < q->number ? -1 : p->number > q->number;
}

static void
number_pads_locked (SeedFusion *self)
{
  g_ptr_array_sort (self->pads, compare_pads);
  for (guint i = 0; i < self->pads->len; i++)
    ((SeedFusionPad *) g_ptr_array_index (self->pads, i))->index = i;
}

/* The number in @name, or the first that is free. FALSE when it is taken or none. lock held. */
static gboolean
choose_number_locked (SeedFusion *self, const char *name, guint *number)
{
  guint64 wanted = 0;

  if (name && (!g_str_has_prefix (name, "sink_") ||
                  !g_ascii_string_to_unsigned (name + 5, 10, 0, G_MAXUINT, &wanted, NULL)))
    return FALSE;
  for (guint i = 0; i < self->pads->len; i++) { /* ascending */
    guint taken = ((SeedFusionPad *) g_ptr_array_index (self->pads, i))->number;

    if (taken == wanted && name)
      return FALSE;
    if (taken == wanted)
      wanted++;
  }
  *number = (guint) wanted;
  return TRUE;
}

static GstPad *
seed_fusion_request_new_pad (
    GstElement *element, GstPadTemplate *template, const gchar *name, const GstCaps *caps)
{
  SeedFusion *self = SEED_FUSION (element);
  g_autofree char *pad_name = NULL;
  SeedFusionPad *pad;
  guint number;

  g_mutex_lock (&self->lock);
  if (self->pairing || self->pads->len >= SEED_FUSION_MAX_TEACHERS ||
      !choose_number_locked (self, name, &number)) {
    GST_WARNING_OBJECT (self, "no pad %s: %s", name ? name : "sink_%u",
        self->pairing ? "teachers cannot join a running fusion" : "taken, malformed or too many");
    g_mutex_unlock (&self->lock);
    return NULL;
  }
  pad_name = g_strdup_printf ("sink_%u", number);
  pad = g_object_new (SEED_TYPE_FUSION_PAD, "name", pad_name, "direction", GST_PAD_SINK, "template",
      template, NULL);
  pad->number = number;
  g_ptr_array_add (self->pads, pad);
  number_pads_locked (self);
  g_mutex_unlock (&self->lock);

  seed_fusion_set_up_pad (pad);
  gst_element_add_pad (element, GST_PAD (pad));
  return GST_PAD (pad);
}

static void
seed_fusion_release_pad (GstElement *element, GstPad *gpad)
{
  SeedFusion *self = SEED_FUSION (element);
  gboolean running;

  g_mutex_lock (&self->lock);
  running = self->pairing != NULL;
  g_mutex_unlock (&self->lock);
  if (running) {
    /* its place stays, so that what the others give is dropped and counted, not mistaken */
    seed_fusion_end_pad (self, SEED_FUSION_PAD (gpad));
    GST_ELEMENT_WARNING (self, STREAM, FAILED,
        ("%s: %s was released while running; there is no target from here on",
            GST_OBJECT_NAME (self), GST_OBJECT_NAME (gpad)),
        (NULL));
  }
  g_mutex_lock (&self->lock);
  g_ptr_array_remove (self->pads, gpad);
  if (!running)
    number_pads_locked (self);
  g_mutex_unlock (&self->lock);
  gst_pad_set_active (gpad, FALSE);
  gst_element_remove_pad (element, gpad);
}

static gboolean
start (SeedFusion *self)
{
  g_autoptr (GError) error = NULL;
  const SeedFusionStrategy *strategy;

  GST_OBJECT_LOCK (self);
  strategy = seed_fusion_strategy_parse (self->strategy, NULL, &error);
  GST_OBJECT_UNLOCK (self);
  if (!strategy) {
    GST_ELEMENT_ERROR (
        self, RESOURCE, SETTINGS, ("%s: %s", GST_OBJECT_NAME (self), error->message), (NULL));
    return FALSE;
  }
  g_mutex_lock (&self->lock);
  self->stopping = FALSE;
  self->flow = GST_FLOW_OK;
  g_mutex_unlock (&self->lock);
  return TRUE;
}

static void
wake_all (SeedFusion *self)
{
  g_mutex_lock (&self->lock);
  self->stopping = TRUE;
  g_cond_broadcast (&self->room);
  g_mutex_unlock (&self->lock);
}

static void
stop (SeedFusion *self)
{
  g_mutex_lock (&self->push_lock);
  g_mutex_lock (&self->lock);
  seed_fusion_drop_held_locked (self);
  g_clear_pointer (&self->pairing, seed_pairing_free);
  for (guint i = 0; i < self->pads->len; i++) {
    SeedFusionPad *pad = g_ptr_array_index (self->pads, i);

    pad->has_info = pad->flushing = FALSE;
  }
  number_pads_locked (self);
  self->n_flushing = 0;
  self->announced = self->calibrated = FALSE;
  self->n_calibrated = 0;
  g_mutex_unlock (&self->lock);
  seed_fusion_forget (self);
  self->started = self->eos_sent = FALSE;
  g_mutex_unlock (&self->push_lock);
}

static GstStateChangeReturn
seed_fusion_change_state (GstElement *element, GstStateChange transition)
{
  SeedFusion *self = SEED_FUSION (element);
  GstStateChangeReturn result;

  if (transition == GST_STATE_CHANGE_READY_TO_PAUSED && !start (self))
    return GST_STATE_CHANGE_FAILURE;
  if (transition == GST_STATE_CHANGE_PAUSED_TO_READY)
    wake_all (self);
  result = GST_ELEMENT_CLASS (seed_fusion_parent_class)->change_state (element, transition);
  if (transition == GST_STATE_CHANGE_PAUSED_TO_READY)
    stop (self);
  return result;
}
