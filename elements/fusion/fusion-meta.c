/* SPDX-License-Identifier: MIT */
#include "fusion/fusion-meta.h"

static void
ensure_registered (void)
{
  static const char *no_tags[] = { NULL }; /* no tags: nothing an element does invalidates it */
  static gsize done;

  if (g_once_init_enter (&done)) {
    if (!gst_meta_get_info (SEED_FUSION_META_NAME))
      gst_meta_register_custom (SEED_FUSION_META_NAME, no_tags, NULL, NULL, NULL);
    g_once_init_leave (&done, 1);
  }
}

static void
set_doubles (GstStructure *s, const char *field, const double *values, guint n)
{
  GValue array = G_VALUE_INIT, value = G_VALUE_INIT;

  gst_value_array_init (&array, n);
  g_value_init (&value, G_TYPE_DOUBLE);
  for (guint i = 0; i < n; i++) {
    g_value_set_double (&value, values[i]);
    gst_value_array_append_value (&array, &value);
  }
  gst_structure_take_value (s, field, &array);
}

static gboolean
get_doubles (const GstStructure *s, const char *field, double *values, guint n)
{
  const GValue *array = gst_structure_get_value (s, field);

  if (!array || !GST_VALUE_HOLDS_ARRAY (array) || gst_value_array_get_size (array) != n)
    return FALSE;
  for (guint i = 0; i < n; i++) {
    const GValue *value = gst_value_array_get_value (array, i);

    if (!G_VALUE_HOLDS_DOUBLE (value))
      return FALSE;
    values[i] = g_value_get_double (value);
  }
  return TRUE;
}

void
seed_fusion_shares_to_structure (const SeedFusionShares *shares, GstStructure *structure)
{
  const char *teachers[SEED_FUSION_MAX_TEACHERS + 1] = { NULL };

  for (guint t = 0; t < shares->n_teachers; t++)
    teachers[t] = shares->teachers[t];
  gst_structure_set (
      structure, "teachers", G_TYPE_STRV, teachers, "masked", G_TYPE_DOUBLE, shares->masked, NULL);
  set_doubles (structure, "diagonal", shares->diagonal, shares->n_teachers);
  set_doubles (structure, "off-diagonal", shares->off_diagonal, shares->n_teachers);
}

void
seed_buffer_add_fusion_meta (GstBuffer *buffer, const SeedFusionShares *shares)
{
  GstCustomMeta *meta;

  ensure_registered ();
  meta = gst_buffer_add_custom_meta (buffer, SEED_FUSION_META_NAME);
  seed_fusion_shares_to_structure (shares, gst_custom_meta_get_structure (meta));
}

gboolean
seed_buffer_get_fusion_meta (GstBuffer *buffer, SeedFusionShares *shares)
{
  GstCustomMeta *meta;
  const GstStructure *s;
  const GValue *teachers;
  const char *const *names;

  ensure_registered ();
  meta = gst_buffer_get_custom_meta (buffer, SEED_FUSION_META_NAME);
  s = meta ? gst_custom_meta_get_structure (meta) : NULL;
  teachers = s ? gst_structure_get_value (s, "teachers") : NULL;
  if (!teachers || !G_VALUE_HOLDS (teachers, G_TYPE_STRV))
    return FALSE;

  names = g_value_get_boxed (teachers);
  shares->n_teachers = names ? g_strv_length ((char **) names) : 0;
  if (shares->n_teachers > SEED_FUSION_MAX_TEACHERS)
    return FALSE;
  for (guint t = 0; t < shares->n_teachers; t++)
    shares->teachers[t] = g_intern_string (names[t]);
  return gst_structure_get_double (s, "masked", &shares->masked) &&
         get_doubles (s, "diagonal", shares->diagonal, shares->n_teachers) &&
         get_doubles (s, "off-diagonal", shares->off_diagonal, shares->n_teachers);
}
