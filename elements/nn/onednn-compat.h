/* SPDX-License-Identifier: MIT */
#pragma once

/*
 * The one difference between oneDNN 2.6 and 3.x that matters here: descriptors of memory are
 * structs in the one and opaque pointers in the other. Everything else is spelled as 3.x spells it.
 */
#include <oneapi/dnnl/dnnl.h>
#include <oneapi/dnnl/dnnl_version.h>

#if DNNL_VERSION_MAJOR >= 3

typedef dnnl_memory_desc_t SeedDesc; /* owned */
typedef const_dnnl_memory_desc_t SeedDescRef;

static inline SeedDescRef
seed_desc_ref (const SeedDesc *desc)
{
  return *desc;
}

static inline void
seed_desc_clear (SeedDesc *desc)
{
  if (*desc)
    dnnl_memory_desc_destroy (*desc);
  *desc = NULL;
}

static inline dnnl_status_t
seed_desc_copy (SeedDesc *to, SeedDescRef from)
{
  return dnnl_memory_desc_clone (to, from);
}

static inline dnnl_status_t
seed_desc_with_strides (SeedDesc *desc, int n_dims, const dnnl_dims_t dims, dnnl_data_type_t type,
    const dnnl_dims_t strides)
{
  return dnnl_memory_desc_create_with_strides (desc, n_dims, dims, type, strides);
}

static inline dnnl_status_t
seed_desc_with_tag (SeedDesc *desc, int n_dims, const dnnl_dims_t dims, dnnl_data_type_t type,
    dnnl_format_tag_t tag)
{
  return dnnl_memory_desc_create_with_tag (desc, n_dims, dims, type, tag);
}

static inline dnnl_status_t
seed_matmul_create (dnnl_primitive_desc_t *matmul, dnnl_engine_t engine, SeedDescRef x,
    SeedDescRef w, SeedDescRef bias, SeedDescRef y, const_dnnl_primitive_attr_t attr)
{
  return dnnl_matmul_primitive_desc_create (matmul, engine, x, w, bias, y, attr);
}

static inline dnnl_status_t
seed_append_activation (dnnl_post_ops_t ops, dnnl_alg_kind_t kind, float alpha)
{
  return dnnl_post_ops_append_eltwise (ops, kind, alpha, 0);
}

static inline dnnl_status_t
seed_append_sum (dnnl_post_ops_t ops)
{
  return dnnl_post_ops_append_sum (ops, 1, 0, dnnl_data_type_undef);
}

#else

typedef dnnl_memory_desc_t SeedDesc;
typedef const dnnl_memory_desc_t *SeedDescRef;

static inline SeedDescRef
seed_desc_ref (const SeedDesc *desc)
{
  return desc;
}

static inline void
seed_desc_clear (SeedDesc *desc)
{
}

static inline dnnl_status_t
seed_desc_copy (SeedDesc *to, SeedDescRef from)
{
  *to = *from;
  return dnnl_success;
}

static inline dnnl_status_t
seed_desc_with_strides (SeedDesc *desc, int n_dims, const dnnl_dims_t dims, dnnl_data_type_t type,
    const dnnl_dims_t strides)
{
  return dnnl_memory_desc_init_by_strides (desc, n_dims, dims, type, strides);
}

static inline dnnl_status_t
seed_desc_with_tag (SeedDesc *desc, int n_dims, const dnnl_dims_t dims, dnnl_data_type_t type,
    dnnl_format_tag_t tag)
{
  return dnnl_memory_desc_init_by_tag (desc, n_dims, dims, type, tag);
}

static inline dnnl_status_t
seed_matmul_create (dnnl_primitive_desc_t *matmul, dnnl_engine_t engine, SeedDescRef x,
    SeedDescRef w, SeedDescRef bias, SeedDescRef y, const_dnnl_primitive_attr_t attr)
{
  dnnl_matmul_desc_t desc;
  dnnl_status_t status = dnnl_matmul_desc_init (&desc, x, w, bias, y);

  return status == dnnl_success ? dnnl_primitive_desc_create (matmul, &desc, attr, engine, NULL)
                                : status;
}

static inline dnnl_status_t
seed_append_activation (dnnl_post_ops_t ops, dnnl_alg_kind_t kind, float alpha)
{
  return dnnl_post_ops_append_eltwise (ops, 1, kind, alpha, 0);
}

static inline dnnl_status_t
seed_append_sum (dnnl_post_ops_t ops)
{
  return dnnl_post_ops_append_sum (ops, 1);
}

#endif
