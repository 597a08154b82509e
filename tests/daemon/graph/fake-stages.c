/* SPDX-License-Identifier: MIT */
#include "fake-stages.h"

#include <stdlib.h>
#include <string.h>

#define PATCHES "application/x-seed-patches"
#define PATCHES_ANY PATCHES ", image-size=(int)[ 8, 4096 ], patch-size=(int)[ 4, 64 ]"
#define FEATURES "application/x-seed-features"
#define AFFINITY "application/x-seed-affinity"
#define MAX_PADS 8

typedef struct {
  const char *factory;
  const char *sink, *request, *target, *teacher, *src; /* caps; NULL: no such pad */
} FakeKind;

static const FakeKind kinds[] = {
  { "seeddecode", .src = "video/x-raw" },
  { "seedpatchify", .sink = "video/x-raw", .src = PATCHES_ANY },
  { "seedteacher", .sink = PATCHES_ANY, .src = FEATURES },
  { "seedfusion", .request = FEATURES, .src = FEATURES ";" AFFINITY },
  { "seedstudent", .sink = PATCHES_ANY, .target = FEATURES ";" AFFINITY, .teacher = FEATURES,
      .src = FEATURES },
  { "seedpublish", .request = FEATURES ";" PATCHES },
};

typedef struct {
  GstElement element;
  GMutex lock;
  GCond changed;
  GstPad *src, *pads[MAX_PADS];
  GstBuffer *held[MAX_PADS];
  gboolean ended[MAX_PADS];
  guint n_pads;
  gboolean stopped, ended_all, sent_caps;
  guint64 n_out;
  guint pending; /* of a batch */

  guint batch, taken;
  guint64 seed;
  gboolean deterministic;
  int strategy;
  char *texts[8];
} FakeStage;

typedef struct {
  GstElementClass parent_class;
  const FakeKind *kind;
} FakeStageClass;

enum {
  PROP_0,
  PROP_BATCH,
  PROP_SEED,
  PROP_DETERMINISTIC,
  PROP_STRATEGY,
  PROP_TAKEN,
  PROP_MODEL, /* texts from here on */
  PROP_STREAMS,
  PROP_GRAPH,
  PROP_FOLLOWS,
  PROP_MODE,
  PROP_CHECKPOINT,
};

static gpointer parent_class;

#define FAKE(object) ((FakeStage *) (object))
#define KIND(object) (((FakeStageClass *) G_OBJECT_GET_CLASS (object))->kind)

static GType
strategy_type (void)
{
  static const GEnumValue values[] = { { 0, "MAX_MIN", "max-min" }, { 1, "MEAN", "mean" },
    { 0, NULL, NULL } };
  static GType type;

  if (!type)
    type = g_enum_register_static ("FakeStrategy", values);
  return type;
}

/* ---- flow ---- */

/* Waits until no input still holds what it got before. */
static gboolean
hold (FakeStage *self, guint i, GstBuffer *buffer)
{
  g_mutex_lock (&self->lock);
  while (self->held[i] && !self->stopped)
    g_cond_wait (&self->changed, &self->lock);
  if (self->stopped) {
    g_mutex_unlock (&self->lock);
    gst_buffer_unref (buffer);
    return FALSE;
  }
  self->held[i] = buffer;
  g_mutex_unlock (&self->lock);
  return TRUE;
}

/* One buffer of each input when all have one; they must be of one batch. */
static GstBuffer *
take_set (FakeStage *self)
{
  GstBuffer *first;

  g_mutex_lock (&self->lock);
  for (guint i = 0; i < self->n_pads; i++) {
    if (!self->held[i]) {
      g_mutex_unlock (&self->lock);
      return NULL;
    }
  }
  first = g_steal_pointer (&self->held[0]);
  for (guint i = 1; i < self->n_pads; i++) {
    if (GST_BUFFER_OFFSET (self->held[i]) != GST_BUFFER_OFFSET (first))
      GST_ELEMENT_ERROR (self, STREAM, FAILED,
          ("batches %" G_GUINT64_FORMAT " and %" G_GUINT64_FORMAT " met", GST_BUFFER_OFFSET (first),
              GST_BUFFER_OFFSET (self->held[i])),
          (NULL));
    gst_clear_buffer (&self->held[i]);
  }
  g_cond_broadcast (&self->changed);
  g_mutex_unlock (&self->lock);
  return first;
}

static void
send_caps (FakeStage *self)
{
  g_autoptr (GstCaps) template = gst_pad_get_pad_template_caps (self->src);
  GstCaps *caps = gst_pad_peer_query_caps (self->src, template);
  GstSegment segment;

  if (self->sent_caps)
    return;
  self->sent_caps = TRUE;
  gst_pad_push_event (self->src, gst_event_new_stream_start (GST_OBJECT_NAME (self)));
  if (!gst_caps_is_empty (caps))
    gst_pad_push_event (self->src, gst_event_new_caps (caps = gst_caps_fixate (caps)));
  gst_segment_init (&segment, GST_FORMAT_TIME);
  gst_pad_push_event (self->src, gst_event_new_segment (&segment));
  gst_caps_unref (caps);
}

static GstFlowReturn
give (FakeStage *self, GstBuffer *buffer)
{
  self->taken++;
  if (self->batch > 1 && ++self->pending < self->batch) {
    gst_buffer_unref (buffer);
    return GST_FLOW_OK;
  }
  self->pending = 0;
  if (!self->src) {
    gst_buffer_unref (buffer);
    return GST_FLOW_OK;
  }
  send_caps (self);
  if (strcmp (KIND (self)->factory, "seedpatchify") == 0) {
    buffer = gst_buffer_make_writable (buffer);
    GST_BUFFER_OFFSET (buffer) = self->n_out++;
  }
  return gst_pad_push (self->src, buffer);
}

static guint
index_of (FakeStage *self, GstPad *pad)
{
  guint i = 0;

  while (self->pads[i] != pad)
    i++;
  return i;
}

static GstFlowReturn
fake_chain (GstPad *pad, GstObject *parent, GstBuffer *buffer)
{
  FakeStage *self = FAKE (parent);
  gboolean pairs = strcmp (KIND (self)->factory, "seedpublish") != 0;

  if (self->n_pads == 1 || !pairs)
    return give (self, buffer);
  if (!hold (self, index_of (self, pad), buffer))
    return GST_FLOW_FLUSHING;
  buffer = take_set (self);
  return buffer ? give (self, buffer) : GST_FLOW_OK;
}

static void
end_input (FakeStage *self, guint i)
{
  gboolean all = TRUE;

  g_mutex_lock (&self->lock);
  self->ended[i] = TRUE;
  for (guint j = 0; j < self->n_pads; j++)
    all = all && self->ended[j];
  all = all && !self->ended_all;
  self->ended_all = self->ended_all || all;
  g_mutex_unlock (&self->lock);
  if (all && self->src)
    gst_pad_push_event (self->src, gst_event_new_eos ());
  else if (all)
    gst_element_post_message (&self->element, gst_message_new_eos (GST_OBJECT (self)));
}

static gboolean
fake_event (GstPad *pad, GstObject *parent, GstEvent *event)
{
  if (GST_EVENT_TYPE (event) == GST_EVENT_EOS)
    end_input (FAKE (parent), index_of (FAKE (parent), pad));
  gst_event_unref (event);
  return TRUE;
}

static GstCaps *
needed_caps (FakeStage *self)
{
  const char *model = self->texts[0] ? strrchr (self->texts[0], '/') : NULL;
  int size = model && model[1] == 'm' ? atoi (model + 2) : 0;

  if (!size || GST_STATE (self) < GST_STATE_READY)
    return gst_caps_from_string (PATCHES_ANY);
  return gst_caps_new_simple (
      PATCHES, "image-size", G_TYPE_INT, size, "patch-size", G_TYPE_INT, 16, NULL);
}

static gboolean
fake_query (GstPad *pad, GstObject *parent, GstQuery *query)
{
  GstCaps *filter, *caps, *common;

  if (GST_QUERY_TYPE (query) != GST_QUERY_CAPS || !KIND (parent)->sink ||
      strcmp (KIND (parent)->factory, "seedteacher") != 0)
    return gst_pad_query_default (pad, parent, query);
  caps = needed_caps (FAKE (parent));
  gst_query_parse_caps (query, &filter);
  common = filter ? gst_caps_intersect (caps, filter) : gst_caps_ref (caps);
  gst_query_set_caps_result (query, common);
  gst_caps_unref (common);
  gst_caps_unref (caps);
  return TRUE;
}

/* ---- the object ---- */

static void
add_sink (FakeStage *self, GstPad *pad)
{
  g_assert_cmpuint (self->n_pads, <, MAX_PADS);
  self->pads[self->n_pads++] = pad;
  gst_pad_set_chain_function (pad, fake_chain);
  gst_pad_set_event_function (pad, fake_event);
  gst_pad_set_query_function (pad, fake_query);
  gst_element_add_pad (&self->element, pad);
}

static GstPad *
fake_request_pad (
    GstElement *element, GstPadTemplate *template, const char *name, const GstCaps *caps)
{
  gboolean teacher = g_str_has_prefix (GST_PAD_TEMPLATE_NAME_TEMPLATE (template), "teacher");
  g_autofree char *numbered =
      g_strdup_printf (teacher ? "teacher_%u" : "sink_%u", FAKE (element)->n_pads);
  gboolean target = strcmp (GST_PAD_TEMPLATE_NAME_TEMPLATE (template), "target") == 0;
  GstPad *pad = gst_pad_new_from_template (template, target ? "target" : numbered);

  add_sink (FAKE (element), pad);
  return pad;
}

static GstStateChangeReturn
fake_change_state (GstElement *element, GstStateChange change)
{
  FakeStage *self = FAKE (element);

  if (change == GST_STATE_CHANGE_NULL_TO_READY && self->texts[0] &&
      g_str_has_suffix (self->texts[0], "broken")) {
    GST_ELEMENT_ERROR (self, RESOURCE, OPEN_READ, ("tensor 'x' is missing"), (NULL));
    return GST_STATE_CHANGE_FAILURE;
  }
  g_mutex_lock (&self->lock);
  self->stopped = change == GST_STATE_CHANGE_PAUSED_TO_READY;
  g_cond_broadcast (&self->changed);
  g_mutex_unlock (&self->lock);
  return GST_ELEMENT_CLASS (parent_class)->change_state (element, change);
}

static void
fake_set_property (GObject *object, guint id, const GValue *value, GParamSpec *pspec)
{
  FakeStage *self = FAKE (object);

  if (id == PROP_BATCH)
    self->batch = g_value_get_uint (value);
  else if (id == PROP_SEED)
    self->seed = g_value_get_uint64 (value);
  else if (id == PROP_DETERMINISTIC)
    self->deterministic = g_value_get_boolean (value);
  else if (id == PROP_STRATEGY)
    self->strategy = g_value_get_enum (value);
  else {
    g_free (self->texts[id - PROP_MODEL]);
    self->texts[id - PROP_MODEL] = g_value_dup_string (value);
  }
}

static void
fake_get_property (GObject *object, guint id, GValue *value, GParamSpec *pspec)
{
  FakeStage *self = FAKE (object);

  if (id == PROP_BATCH)
    g_value_set_uint (value, self->batch);
  else if (id == PROP_SEED)
    g_value_set_uint64 (value, self->seed);
  else if (id == PROP_DETERMINISTIC)
    g_value_set_boolean (value, self->deterministic);
  else if (id == PROP_STRATEGY)
    g_value_set_enum (value, self->strategy);
  else if (id == PROP_TAKEN)
    g_value_set_uint (value, self->taken);
  else
    g_value_set_string (value, self->texts[id - PROP_MODEL]);
}

static void
fake_finalize (GObject *object)
{
  FakeStage *self = FAKE (object);

  for (guint i = 0; i < G_N_ELEMENTS (self->texts); i++)
    g_free (self->texts[i]);
  for (guint i = 0; i < MAX_PADS; i++)
    gst_clear_buffer (&self->held[i]);
  g_mutex_clear (&self->lock);
  g_cond_clear (&self->changed);
  G_OBJECT_CLASS (parent_class)->finalize (object);
}

static void
add_template (gpointer klass, const char *name, GstPadDirection direction, GstPadPresence presence,
    const char *text)
{
  g_autoptr (GstCaps) caps = text ? gst_caps_from_string (text) : NULL;

  if (caps)
    gst_element_class_add_pad_template (
        klass, gst_pad_template_new (name, direction, presence, caps));
}

static void
install_properties (GObjectClass *klass)
{
  static const char *const texts[] = { "model", "streams", "graph", "follows", "mode",
    "checkpoint" };

  g_object_class_install_property (
      klass, PROP_BATCH, g_param_spec_uint ("batch", NULL, NULL, 1, 4096, 1, G_PARAM_READWRITE));
  g_object_class_install_property (klass, PROP_SEED,
      g_param_spec_uint64 ("seed", NULL, NULL, 0, G_MAXUINT64, 0, G_PARAM_READWRITE));
  g_object_class_install_property (klass, PROP_DETERMINISTIC,
      g_param_spec_boolean ("deterministic", NULL, NULL, FALSE, G_PARAM_READWRITE));
  g_object_class_install_property (klass, PROP_STRATEGY,
      g_param_spec_enum ("strategy", NULL, NULL, strategy_type (), 0, G_PARAM_READWRITE));
  g_object_class_install_property (klass, PROP_TAKEN,
      g_param_spec_uint ("taken", NULL, NULL, 0, G_MAXUINT, 0, G_PARAM_READABLE));
  for (guint i = 0; i < G_N_ELEMENTS (texts); i++)
    g_object_class_install_property (
        klass, PROP_MODEL + i, g_param_spec_string (texts[i], NULL, NULL, NULL, G_PARAM_READWRITE));
}

static void
fake_class_init (gpointer klass, gpointer data)
{
  const FakeKind *kind = data;
  GObjectClass *object_class = klass;
  GstElementClass *element_class = klass;

  parent_class = g_type_class_peek (GST_TYPE_ELEMENT);
  ((FakeStageClass *) klass)->kind = kind;
  object_class->set_property = fake_set_property;
  object_class->get_property = fake_get_property;
  object_class->finalize = fake_finalize;
  install_properties (object_class);
  element_class->request_new_pad = fake_request_pad;
  element_class->change_state = fake_change_state;
  add_template (klass, "sink", GST_PAD_SINK, GST_PAD_ALWAYS, kind->sink);
  add_template (klass, "sink_%u", GST_PAD_SINK, GST_PAD_REQUEST, kind->request);
  add_template (klass, "target", GST_PAD_SINK, GST_PAD_REQUEST, kind->target);
  add_template (klass, "teacher_%u", GST_PAD_SINK, GST_PAD_REQUEST, kind->teacher);
  add_template (klass, "src", GST_PAD_SRC, GST_PAD_ALWAYS, kind->src);
  gst_element_class_set_static_metadata (klass, kind->factory, "Generic", "Stand-in", "SEED");
}

static void
fake_init (GTypeInstance *instance, gpointer klass)
{
  FakeStage *self = FAKE (instance);
  GstPadTemplate *template = gst_element_class_get_pad_template (klass, "sink");

  g_mutex_init (&self->lock);
  g_cond_init (&self->changed);
  self->batch = 1;
  if (template)
    add_sink (self, gst_pad_new_from_template (template, "sink"));
  template = gst_element_class_get_pad_template (klass, "src");
  if (template) {
    self->src = gst_pad_new_from_template (template, "src");
    gst_element_add_pad (&self->element, self->src);
  } else {
    GST_OBJECT_FLAG_SET (self, GST_ELEMENT_FLAG_SINK);
  }
}

void
fake_stages_register (void)
{
  for (guint i = 0; i < G_N_ELEMENTS (kinds); i++) {
    g_autofree char *name = g_strconcat ("Fake-", kinds[i].factory, NULL);
    const GTypeInfo info = { sizeof (FakeStageClass), NULL, NULL, fake_class_init, NULL, &kinds[i],
      sizeof (FakeStage), 0, fake_init, NULL };
    GType type = g_type_register_static (GST_TYPE_ELEMENT, name, &info, 0);

    g_assert_true (gst_element_register (NULL, kinds[i].factory, GST_RANK_NONE, type));
  }
}
