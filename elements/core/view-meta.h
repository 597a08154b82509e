/* SPDX-License-Identifier: MIT */
#pragma once

#include <seed/view-meta.h>

/* Called once by the plugin. */
void seed_view_meta_register (void);
