/* SPDX-License-Identifier: MIT */
#pragma once

#include "seedd-methods.h"

G_BEGIN_DECLS

/** Without a frame for so long a graph is not ready, unless its own `stall` is shorter. */
#define SEEDD_READY_SILENCE_S 10

/**
 * {ready, graphs: how many there are to be, not_ready: [{graph, state, reason}], streams_down:
 * [{graph, stream, state, reason}]}. Not ready: enabled graphs that do not run, have not given a
 * frame yet or for SEEDD_READY_SILENCE_S (unless `stall` is 0), have no heartbeat, or have no file.
 * One that came to its end is ready. Streams that are down are told and do not count. Caller
 * unrefs.
 */
JsonObject *seedd_ready_describe (SeeddDaemon *daemon);

G_END_DECLS
