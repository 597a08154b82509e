/* SPDX-License-Identifier: MIT */
#pragma once

#include <gst/gst.h>

/*
 * What flows between stages. Media types, their fields, and typed access to fixed caps.
 *
 * Every data buffer of these types carries one stream meta per batch item; the count of metas is
 * the count of items b, 1 <= b <= batch (the last batch of a stream of data may be short). The
 * buffer offset is the number of the batch since the start of its patchify (0, 1, 2, ...): stages
 * with several sink pads pair their inputs by it.
 */

/* uint8 [b, V, N, 3*P*P]; N = (S/P)^2 words in raster order, each channel-planar (C, P, P), RGB. */
#define SEED_CAPS_PATCHES "application/x-seed-patches"
/* memory 0: float32 [b, V, D] summary; memory 1 (when token-dim > 0): float32 [b, V, N, Dt].
 * The model that made them is announced by an event: see event.h. */
#define SEED_CAPS_FEATURES "application/x-seed-features"
/* float32 [b, b] target logits of a pair of views (rows: view 0, columns: view 1);
 * -INFINITY marks a pair that takes part in neither distribution. A buffer with flag GAP and no
 * memory stands for a batch without a target (whitening is being fitted). */
#define SEED_CAPS_AFFINITY "application/x-seed-affinity"
/* One JSON object (UTF-8, no NUL): the "data" of a result message. Field kind: "train", ... */
#define SEED_CAPS_REPORT "application/x-seed-report"

#define SEED_PATCHES_TEMPLATE_CAPS                                                                 \
  SEED_CAPS_PATCHES ", image-size=(int)[ 8, 4096 ], patch-size=(int)[ 4, 64 ], "                   \
                    "views=(int)[ 1, 16 ], batch=(int)[ 1, 4096 ], "                               \
                    "fit=(string){ squash, crop, letterbox }, "                                    \
                    "interpolation=(string){ bilinear, bicubic }"
#define SEED_FEATURES_TEMPLATE_CAPS                                                                \
  SEED_CAPS_FEATURES ", summary-dim=(int)[ 1, 65536 ], token-dim=(int)[ 0, 65536 ], "              \
                     "grid=(int)[ 0, 1024 ], views=(int)[ 1, 16 ], batch=(int)[ 1, 4096 ]"
#define SEED_AFFINITY_TEMPLATE_CAPS SEED_CAPS_AFFINITY ", batch=(int)[ 1, 4096 ]"
#define SEED_REPORT_TEMPLATE_CAPS SEED_CAPS_REPORT

typedef struct {
  guint image_size, patch_size, views, batch;
  const char *fit, *interpolation; /* interned; NULL leaves the field open in caps */

  /*
   * How much of a frame the words show: the whole of it (fit=squash) or its shorter side (fit=crop)
   * is resized to resize-size pixels, the centred crop-size of that is cut out, its upper left
   * image-size are cut into words. Both fields may be missing in caps: then they are image-size. 0
   * leaves them out.
   */
  guint resize_size, crop_size;
} SeedPatchesInfo;

#define SEED_PATCHES_MAX_RESIZE 16384

/* Features: @space names the embedding space (two vectors compare only within one), @node the
 * element that made them (the "node" of results on the wire). Both interned. */
typedef struct {
  guint summary_dim, token_dim, grid, views, batch;
  const char *space, *node;
} SeedFeaturesInfo;

/* FALSE when @caps are not fixed caps of that media type with every field. */
gboolean seed_patches_info_from_caps (SeedPatchesInfo *info, const GstCaps *caps);
GstCaps *seed_patches_info_to_caps (const SeedPatchesInfo *info);
guint seed_patches_info_n_words (const SeedPatchesInfo *info);
/* Bytes of one item: V * N * 3*P*P. */
gsize seed_patches_info_item_size (const SeedPatchesInfo *info);

gboolean seed_features_info_from_caps (SeedFeaturesInfo *info, const GstCaps *caps);
GstCaps *seed_features_info_to_caps (const SeedFeaturesInfo *info);
