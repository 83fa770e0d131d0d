/* Reads and writes that end: with all of it, at a deadline, or with an error. */
#ifndef RAILNET_IO_H
#define RAILNET_IO_H

#include <stddef.h>

#include "deadline.h"

enum io { IO_DONE, IO_END, IO_RESET, IO_LATE, IO_TOO_LONG, IO_FAILED, IO_PEER_GONE };

struct buffer {
  char *data;
  size_t length;
};

/* Reads `fd` to its end into allocated memory. IO_TOO_LONG past `limit`; a descriptor that is not open is empty.
 * On IO_FAILED errno says why. Blocking and non-blocking descriptors alike. */
enum io io_read_to_end(int fd, size_t limit, deadline_t deadline, struct buffer *out);

/* Reads exactly `length` bytes; IO_END when the stream ends before, IO_RESET when the other end closed a socket without
 * having read all that was sent. While it waits, IO_PEER_GONE when nobody reads the
 * pipe or socket `watched` any more (-1: not watched). */
enum io io_read_exact(int fd, void *to, size_t length, deadline_t deadline, int watched);

/* Writes all of it. SIGPIPE must be ignored. */
enum io io_write_all(int fd, const void *from, size_t length, deadline_t deadline);

#endif
