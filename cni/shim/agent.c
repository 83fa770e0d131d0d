#include "agent.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/un.h>
#include <unistd.h>

#include "limits.h"

static const struct sockaddr_un address = {.sun_family = AF_UNIX, .sun_path = RAILNET_SOCKET};
_Static_assert(sizeof RAILNET_SOCKET <= sizeof address.sun_path, "the path of the socket is too long");

static enum reach classify(int error) {
  switch (error) {
    case ECONNREFUSED:
      return AGENT_REFUSES;
    case EAGAIN: /* SO_SNDTIMEO ran out while its backlog was full */
      return AGENT_BUSY;
    case EMFILE:
    case ENFILE:
    case ENOBUFS:
    case ENOMEM:
      return AGENT_FAILED;
    default:
      return AGENT_ABSENT;
  }
}

static int connect_within(int fd, int ms) {
  struct timeval limit = {.tv_sec = ms / 1000, .tv_usec = ms % 1000 * 1000};
  setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof limit);
  int failed;
  do failed = connect(fd, (const struct sockaddr *)&address, sizeof address);
  while (failed && errno == EINTR);
  return failed;
}

enum reach agent_connect(deadline_t deadline, int *fd) {
  int left = deadline_left(deadline);
  if (left == 0) return AGENT_BUSY;
  int s = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
  if (s < 0) return classify(errno);
  if (connect_within(s, left)) {
    int error = errno;
    close(s);
    errno = error;
    return classify(error);
  }
  *fd = s;
  return AGENT_REACHED;
}

enum reach agent_reach(deadline_t deadline, int *fd) {
  enum reach reach = agent_connect(deadline, fd);
  if (reach != AGENT_REFUSES) return reach;
  deadline_t patience = deadline_in(RAILNET_REFUSED_MS);
  while (deadline_pause(patience, RETRY_PAUSE_MS)) {
    reach = agent_connect(deadline, fd);
    /* While it restarts, the socket may be missing for a moment. */
    if (reach != AGENT_REFUSES && reach != AGENT_ABSENT) return reach;
  }
  return AGENT_REFUSES;
}

static uint32_t get_u32(const unsigned char *at) {
  return at[0] | at[1] << 8 | at[2] << 16 | (uint32_t)at[3] << 24;
}

int reply_decode(const unsigned char header[8], struct reply *reply) {
  reply->exit = get_u32(header);
  reply->out = (struct buffer){NULL, get_u32(header + 4)};
  return reply->exit <= 255 && reply->out.length <= REPLY_LIMIT;
}

enum io agent_exchange(int fd, struct buffer head, struct buffer body, deadline_t deadline, int watched,
                       struct reply *reply) {
  unsigned char header[8];
  enum io io = io_write_all(fd, head.data, head.length, deadline);
  if (io == IO_DONE) io = io_write_all(fd, body.data, body.length, deadline);
  int is_sent = io == IO_DONE;
  /* An agent that refuses a request may close before it has read everything; its reply is there all the same. */
  if (io == IO_DONE || io == IO_END) io = io_read_exact(fd, header, sizeof header, deadline, watched);
  if (io == IO_END && !is_sent) return IO_RESET;
  if (io != IO_DONE) return io;
  if (!reply_decode(header, reply)) return IO_END;
  reply->out.data = malloc(reply->out.length + 1);
  if (!reply->out.data) return IO_FAILED;
  io = io_read_exact(fd, reply->out.data, reply->out.length, deadline, watched);
  if (io != IO_DONE) free(reply->out.data);
  return io == IO_RESET ? IO_END : io; /* half a reply: it had begun */
}
