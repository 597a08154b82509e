/* SPDX-License-Identifier: MIT */
/* The reference: whatever the compiler's baseline for this architecture is. */
#define KERNELS_NAME "c"
#define KERNELS_TABLE seed_kernels_reference
#define VECTOR_SIZE 16
#include "nn/kernels-loops.h"
