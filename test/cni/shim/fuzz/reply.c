/* An agent that answers with arbitrary bytes, at once and then closes or goes on listening. The reply must be what the
 * bytes say, and a reply that is none must not be taken for one. */
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "../../../../cni/shim/agent.h"
#include "check.h"
#include "targets.h"

enum { ROOM = 60000 };

static uint32_t u32(const uint8_t *at) {
  return at[0] | (uint32_t)at[1] << 8 | (uint32_t)at[2] << 16 | (uint32_t)at[3] << 24;
}

static enum io expected(const uint8_t *data, size_t size, int closes) {
  if (size < 8) return closes ? IO_END : IO_LATE;
  if (u32(data) > 255 || u32(data + 4) > 16 << 20) return IO_END;
  if (size - 8 >= u32(data + 4)) return IO_DONE;
  return closes ? IO_END : IO_LATE;
}

/* All of it must have been sent, but for a deadline that may have come before. */
static void check_request(int agent, const char *request, size_t size, int late) {
  char got[64];
  ssize_t n = recv(agent, got, sizeof got, MSG_DONTWAIT);
  CHECK(n == (ssize_t)size || late);
  CHECK(n < 0 || ((size_t)n <= size && !memcmp(got, request, (size_t)n)));
}

void fuzz_reply(const uint8_t *data, size_t size) {
  int ends[2];
  if (size < 1 || size > ROOM) return;
  int closes = data[0] & 1;
  data++, size--;
  CHECK(!socketpair(AF_UNIX, SOCK_STREAM, 0, ends));
  CHECK(write(ends[1], data, size) == (ssize_t)size);
  if (closes) shutdown(ends[1], SHUT_WR);
  struct reply reply;
  enum io want = expected(data, size, closes);
  struct buffer head = {"request-", 8}, body = {"body", 4};
  enum io io = agent_exchange(ends[0], head, body, deadline_in(want == IO_LATE ? 2 : 5000), -1, &reply);
  CHECK(io == want);
  check_request(ends[1], "request-body", 12, io == IO_LATE);
  if (io == IO_DONE) {
    CHECK(reply.exit == u32(data) && reply.out.length == u32(data + 4));
    CHECK(!memcmp(reply.out.data, data + 8, reply.out.length));
    free(reply.out.data);
  }
  close(ends[0]);
  close(ends[1]);
}
