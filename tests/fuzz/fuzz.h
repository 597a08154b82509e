/* SPDX-License-Identifier: MIT */
#pragma once

#include <stddef.h>
#include <stdint.h>

/* What every target defines: returns 0 whatever the input is; see standalone.c and libFuzzer. */
int LLVMFuzzerTestOneInput (const uint8_t *data, size_t size);
