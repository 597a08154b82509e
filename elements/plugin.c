/* SPDX-License-Identifier: MIT */
#include "seed-config.h"

#include <gst/gst.h>

#include "core/caption-meta.h"
#include "core/stream-meta.h"

#define SEED_ELEMENT(name) GST_ELEMENT_REGISTER_DECLARE (name)
#include "plugin-elements.def"
#undef SEED_ELEMENT

static gboolean
plugin_init (GstPlugin *plugin)
{
  gboolean ok = TRUE;

  seed_stream_meta_register ();
  seed_caption_meta_register ();
#define SEED_ELEMENT(name) ok = GST_ELEMENT_REGISTER (name, plugin) && ok;
#include "plugin-elements.def"
#undef SEED_ELEMENT
  return ok;
}

GST_PLUGIN_DEFINE (GST_VERSION_MAJOR, GST_VERSION_MINOR, seed,
    "Self-supervised distillation of visual representations from video", plugin_init, SEED_VERSION,
    "MIT/X11", "SEED", "https://seed.invalid/")
