/* SPDX-License-Identifier: MIT */

/*
 * A library to be preloaded (LD_PRELOAD): a disk that is full or broken. While the file that
 * SEED_IO_ERRORS names holds "CALL ERRNO FOLDER" (as in "fsync 5 /srv/models"), that call fails
 * with that error for files below the folder; everything else is as it is.
 */
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* Only system calls in here: this may run in the middle of anything. The error, or 0. */
static int
look_up (const char *call, const char *path)
{
  char text[PATH_MAX + 64] = "", name[16] = "", folder[PATH_MAX] = "";
  const char *control = getenv ("SEED_IO_ERRORS");
  int fd = control ? open (control, O_RDONLY | O_CLOEXEC) : -1, number = 0;
  ssize_t n = 0;

  if (fd < 0)
    return 0;
  n = read (fd, text, sizeof text - 1);
  close (fd);
  if (n <= 0 || sscanf (text, "%15s %d %4095s", name, &number, folder) != 3)
    return 0;
  return strcmp (name, call) == 0 && strncmp (path, folder, strlen (folder)) == 0 ? number : 0;
}

/* TRUE when the call on @fd is to fail, with errno set. */
static int
fails (const char *call, int fd)
{
  char link[64], path[PATH_MAX];
  int before = errno;
  ssize_t n;

  snprintf (link, sizeof link, "/proc/self/fd/%d", fd);
  n = readlink (link, path, sizeof path - 1);
  if (n > 0 && path[0] == '/') {
    path[n] = 0;
    n = look_up (call, path);
  } else {
    n = 0;
  }
  errno = n > 0 ? (int) n : before;
  return n > 0;
}

ssize_t
write (int fd, const void *data, size_t size)
{
  static ssize_t (*next) (int, const void *, size_t);

  if (!next)
    *(void **) &next = dlsym (RTLD_NEXT, "write");
  return fails ("write", fd) ? -1 : next (fd, data, size);
}

int
fsync (int fd)
{
  static int (*next) (int);

  if (!next)
    *(void **) &next = dlsym (RTLD_NEXT, "fsync");
  return fails ("fsync", fd) ? -1 : next (fd);
}

int
rename (const char *from, const char *to)
{
  static int (*next) (const char *, const char *);
  int number = look_up ("rename", to);

  if (!next)
    *(void **) &next = dlsym (RTLD_NEXT, "rename");
  if (!number)
    return next (from, to);
  errno = number;
  return -1;
}
