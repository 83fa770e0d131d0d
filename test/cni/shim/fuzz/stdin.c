/* A caller that writes stdin in pieces and, half of the time, never closes it. */
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "../../../../cni/shim/io.h"
#include "check.h"
#include "targets.h"

enum { ROOM = 60000, LIMIT = 30000 };

void fuzz_stdin(const uint8_t *data, size_t size) {
  int ends[2];
  if (size < 1 || size > ROOM) return;
  int closes = data[0] & 1, blocks = data[0] & 2;
  CHECK(!pipe2(ends, O_CLOEXEC | (blocks ? 0 : O_NONBLOCK)));
  CHECK(write(ends[1], data, size) == (ssize_t)size);
  if (closes) close(ends[1]);
  struct buffer got;
  enum io io = io_read_to_end(ends[0], LIMIT, deadline_in(closes || size > LIMIT ? 5000 : 2), &got);
  if (size > LIMIT) CHECK(io == IO_TOO_LONG);
  else CHECK(io == (closes ? IO_DONE : IO_LATE));
  CHECK(got.length <= LIMIT + 1 && !memcmp(got.data, data, got.length));
  CHECK(io != IO_DONE || got.length == size);
  free(got.data);
  close(ends[0]);
  if (!closes) close(ends[1]);
}
