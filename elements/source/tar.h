/* SPDX-License-Identifier: MIT */
#pragma once

#include "source/bytestream.h"

G_BEGIN_DECLS

/**
 * Reads tar archives (POSIX.1-2001 ustar and pax, GNU, v7) member by member. Nothing in an archive
 * is trusted: numbers are checked before they are added, names have a limit, and no member is ever
 * written anywhere. Belongs to one thread.
 */
typedef struct _SeedTarReader SeedTarReader;

#define SEED_TAR_BLOCK 512
#define SEED_TAR_MAX_NAME (64 * 1024)        /* bytes of a long name */
#define SEED_TAR_MAX_EXTENSION (1024 * 1024) /* bytes of a pax header */

typedef enum {
  SEED_TAR_FILE,
  SEED_TAR_HARD_LINK, /* to a member before it */
  SEED_TAR_SYMBOLIC_LINK,
  SEED_TAR_FOLDER,
  SEED_TAR_OTHER, /* device, FIFO, volume label, whatever comes later */
} SeedTarKind;

typedef struct {
  SeedTarKind kind;
  const char *name;    /* any bytes, as in the archive; the reader's until the next call */
  const char *target;  /* of a link, else "" */
  guint64 offset;      /* of its data in the archive, unpacked */
  guint64 size;        /* of its data */
  const char *refused; /* why its data cannot be used, or NULL */
} SeedTarMember;

/** @stream stays the caller's and must outlive the reader. */
SeedTarReader *seed_tar_reader_new (SeedByteStream *stream);
void seed_tar_reader_free (SeedTarReader *reader);
G_DEFINE_AUTOPTR_CLEANUP_FUNC (SeedTarReader, seed_tar_reader_free)

/**
 * The next member. FALSE at the end of the archive, or with SEED_ERROR_FORMAT (a damaged header, an
 * archive that ends too early), _IO or _LIMIT, which name the byte; then there is nothing more to
 * read, while all members before are good, save that the last one may be cut short.
 */
gboolean seed_tar_reader_next (SeedTarReader *reader, SeedTarMember *member, GError **error);

/** Up to @size bytes of the member's data, fewer at its end or where the archive ends; -1: error.
 */
gssize seed_tar_reader_read (SeedTarReader *reader, void *data, gsize size, GError **error);

/** Whether a block of SEED_TAR_BLOCK bytes is a header: its checksum is right. */
gboolean seed_tar_is_header (const guint8 *block);

/**
 * @name without "./" and "/" in front and doubled or trailing slashes; NULL when nothing is left or
 * a part of it is "..". Free with g_free.
 */
char *seed_tar_clean_name (const char *name);

G_END_DECLS
