/* SPDX-License-Identifier: MIT */
#include "seedctl-model.h"

#include <string.h>

#include "anchors/anchors.h"
#include "nn/hf-weights.h"
#include "seedctl.h"
#include "student/student.h"

static const struct {
  const char *name, *arguments, *summary;
  int (*run) (int argc, char **argv);
} verbs[] = {
  { "info", "FOLDER", "tell what a model is", seedctl_model_info },
  { "export", "STUDENT FOLDER", "write a student for others to load", seedctl_model_export },
  { "convert", "MODEL FOLDER", "write any supported model as a plain ViT", seedctl_model_convert },
};

static gboolean
all_there (const SeedHfWeights *weights, const SeedExtraTensor *tensors, guint n)
{
  for (guint i = 0; i < n; i++) {
    if (!seed_hf_weights_lookup (weights, tensors[i].name, NULL))
      return FALSE;
  }
  return TRUE;
}

static void
add (SeedctlHeads *heads, const SeedHfWeights *weights, const SeedExtraTensor *tensors, guint n)
{
  G_STATIC_ASSERT (SEED_STUDENT_MAX_TENSORS <= G_N_ELEMENTS (((SeedctlHeads *) 0)->tensors));

  if (!all_there (weights, tensors, n))
    return;
  memcpy (heads->tensors + heads->n, tensors, n * sizeof *tensors);
  heads->n += n;
}

gboolean
seedctl_heads_find (SeedctlHeads *heads, const char *folder, GError **error)
{
  g_autoptr (SeedHfWeights) weights = seed_hf_weights_open_with_heads (folder, error);

  heads->n = 0;
  if (!weights)
    return FALSE;
  add (heads, weights, seed_student_head_tensors, SEED_STUDENT_N_HEAD_TENSORS);
  if (heads->n == 0) /* no other head is without the embed head */
    return TRUE;
  add (heads, weights, seed_anchors_tensors, SEED_ANCHORS_N_DESCRIBING);
  add (heads, weights, seed_student_text_tensors, SEED_STUDENT_N_TEXT_TENSORS);
  return TRUE;
}

char *
seedctl_weights_dtypes (const char *folder, GError **error)
{
  g_autoptr (SeedHfWeights) weights = seed_hf_weights_open_with_heads (folder, error);
  gboolean seen[SEED_N_DTYPES] = { FALSE };
  GString *text;

  if (!weights)
    return NULL;
  for (guint i = 0; i < seed_hf_weights_n_tensors (weights); i++) {
    const char *path;

    seen[seed_hf_weights_get (weights, i, &path)->dtype] = TRUE;
  }
  text = g_string_new (NULL);
  for (guint d = 0; d < SEED_N_DTYPES; d++) {
    if (seen[d])
      g_string_append_printf (
          text, "%s%s", text->len ? "+" : "", seed_dtype_wire_name ((SeedDtype) d));
  }
  return g_string_free (text, FALSE);
}

int
seedctl_model (int argc, char **argv)
{
  if (argc >= 2 && (strcmp (argv[1], "--help") == 0 || strcmp (argv[1], "-h") == 0)) {
    g_print ("Usage: seedctl model VERB ...\n\n");
    for (guint i = 0; i < G_N_ELEMENTS (verbs); i++)
      g_print ("  %-8s %-16s %s\n", verbs[i].name, verbs[i].arguments, verbs[i].summary);
    return SEEDCTL_DONE;
  }
  for (guint i = 0; argc >= 2 && i < G_N_ELEMENTS (verbs); i++) {
    if (strcmp (argv[1], verbs[i].name) == 0)
      return verbs[i].run (argc - 1, argv + 1);
  }
  seedctl_complain ("model", "expected info, export or convert; see seedctl model --help");
  return SEEDCTL_USAGE;
}
