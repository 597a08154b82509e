/* SPDX-License-Identifier: MIT */
#include "graph/pads.h"

#include <string.h>

#define MAX_CAPS_TEXT 320

static gboolean
is_input (const GstStaticPadTemplate *t)
{
  return t->direction == GST_PAD_SINK && strcmp (t->name_template, SEED_PAD_TARGET) != 0 &&
         strcmp (t->name_template, SEED_PAD_TEACHER) != 0;
}

static GstStaticPadTemplate *
find_request (const GList *templates, const char *name)
{
  for (; templates; templates = templates->next) {
    GstStaticPadTemplate *t = templates->data;

    if (t->direction == GST_PAD_SINK && t->presence == GST_PAD_REQUEST &&
        strcmp (t->name_template, name) == 0)
      return t;
  }
  return NULL;
}

GstStaticPadTemplate *
seed_pads_input (GstElementFactory *factory, const SeedGraphNode *node, guint input)
{
  const GList *templates = gst_element_factory_get_static_pad_templates (factory);
  guint position = 0;
  const char *pad = g_array_index (node->inputs, SeedGraphInput, input).pad;

  if (pad)
    return find_request (templates, pad);
  for (guint i = 0; i < input; i++)
    position += !g_array_index (node->inputs, SeedGraphInput, i).pad;
  for (const GList *l = templates; l; l = l->next) {
    GstStaticPadTemplate *t = l->data;

    if (is_input (t) && t->presence == GST_PAD_ALWAYS && position-- == 0)
      return t;
  }
  for (const GList *l = templates; l; l = l->next) {
    GstStaticPadTemplate *t = l->data;

    if (is_input (t) && t->presence == GST_PAD_REQUEST)
      return t;
  }
  return NULL;
}

GstStaticPadTemplate *
seed_pads_output (GstElementFactory *factory)
{
  static const GstPadPresence order[] = { GST_PAD_ALWAYS, GST_PAD_REQUEST, GST_PAD_SOMETIMES };

  for (guint i = 0; i < G_N_ELEMENTS (order); i++) {
    const GList *l = gst_element_factory_get_static_pad_templates (factory);

    for (; l; l = l->next) {
      GstStaticPadTemplate *t = l->data;

      if (t->direction == GST_PAD_SRC && t->presence == order[i])
        return t;
    }
  }
  return NULL;
}

guint
seed_pads_n_inputs (GstElementFactory *factory)
{
  const GList *l = gst_element_factory_get_static_pad_templates (factory);
  guint n = 0;

  for (; l; l = l->next) {
    const GstStaticPadTemplate *t = l->data;

    if (is_input (t) && t->presence == GST_PAD_REQUEST)
      return G_MAXUINT;
    n += is_input (t) && t->presence == GST_PAD_ALWAYS;
  }
  return n;
}

GstPad *
seed_pads_get (GstElement *element, const GstStaticPadTemplate *template)
{
  if (template->presence == GST_PAD_REQUEST)
    return gst_element_request_pad (
        element, gst_element_get_pad_template (element, template->name_template), NULL, NULL);
  return gst_element_get_static_pad (element, template->name_template);
}

char *
seed_caps_describe (const GstCaps *caps)
{
  char *text = gst_caps_to_string (caps);

  if (strlen (text) > MAX_CAPS_TEXT) {
    g_autofree char *cut = g_utf8_make_valid (text, MAX_CAPS_TEXT);

    g_free (text);
    text = g_strconcat (cut, "…", NULL);
  }
  return text;
}
