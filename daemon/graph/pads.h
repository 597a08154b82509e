/* SPDX-License-Identifier: MIT */
#pragma once

#include <gst/gst.h>

#include "graph/graph.h"

G_BEGIN_DECLS

/*
 * Which pad of an element a graph's link means, from its pad templates. Inputs go to the pads that
 * are always there, in the templates' order, then to request pads; `target` and `teachers` to
 * request pads of their own. The output is the first source pad that is always there, else one on
 * request, else one that appears while the element runs.
 */

/** Template for a node's input; NULL when the element has no room for it. */
GstStaticPadTemplate *
seed_pads_input (GstElementFactory *factory, const SeedGraphNode *node, guint input);

/** Template of the output; NULL for a sink. */
GstStaticPadTemplate *seed_pads_output (GstElementFactory *factory);

/** Inputs the element can take besides `target` and `teachers`; G_MAXUINT when they are made on
 * request. */
guint seed_pads_n_inputs (GstElementFactory *factory);

/** The element's pad for a template: made when it is a request template. NULL when there is none
 * (yet). */
GstPad *seed_pads_get (GstElement *element, const GstStaticPadTemplate *template);

/** Caps for a message, cut where they get too long to read. Caller frees. */
char *seed_caps_describe (const GstCaps *caps);

G_END_DECLS
