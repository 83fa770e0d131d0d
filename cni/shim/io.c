#include "io.h"

#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <unistd.h>

/* A descriptor that poll(2) reports as writable takes PIPE_BUF bytes without blocking; more could hang in write(2). */
enum { FIRST_READ = 64 << 10, WRITE_CHUNK = 4096 };

/* Waits for `events` on `fd`: an error or a hang-up ends it too, and the next read or write tells which. */
static enum io wait_for(int fd, short events, deadline_t deadline, int watched) {
  struct pollfd fds[2] = {{.fd = fd, .events = events}, {.fd = watched, .events = 0}};
  for (;;) {
    int left = deadline_left(deadline);
    if (left == 0) return IO_LATE;
    int n = poll(fds, 2, left);
    if (n < 0 && errno != EINTR) return IO_FAILED;
    if (n <= 0) continue;
    if (fds[0].revents) return IO_DONE;
    if (fds[1].revents & (POLLERR | POLLHUP)) return IO_PEER_GONE;
    fds[1].fd = -1;
  }
}

static int grow(struct buffer *b, size_t *room, size_t limit) {
  size_t next = *room ? *room * 2 : FIRST_READ;
  if (next > limit + 1) next = limit + 1;
  char *data = realloc(b->data, next);
  if (!data) return 0;
  b->data = data;
  *room = next;
  return 1;
}

enum io io_read_to_end(int fd, size_t limit, deadline_t deadline, struct buffer *out) {
  size_t room = 0;
  *out = (struct buffer){NULL, 0};
  for (;;) {
    if (out->length > limit) return IO_TOO_LONG;
    if (out->length == room && !grow(out, &room, limit)) return IO_FAILED;
    enum io ready = wait_for(fd, POLLIN, deadline, -1);
    if (ready != IO_DONE) return ready;
    ssize_t n = read(fd, out->data + out->length, room - out->length);
    if (n == 0 || (n < 0 && errno == EBADF)) return IO_DONE;
    if (n > 0) out->length += (size_t)n;
    else if (errno != EINTR && errno != EAGAIN) return IO_FAILED;
  }
}

enum io io_read_exact(int fd, void *to, size_t length, deadline_t deadline, int watched) {
  for (char *at = to; length > 0;) {
    enum io ready = wait_for(fd, POLLIN, deadline, watched);
    if (ready != IO_DONE) return ready;
    ssize_t n = read(fd, at, length);
    if (n == 0) return IO_END;
    if (n > 0) at += n, length -= (size_t)n;
    else if (errno == ECONNRESET) return IO_RESET;
    else if (errno != EINTR && errno != EAGAIN) return IO_FAILED;
  }
  return IO_DONE;
}

enum io io_write_all(int fd, const void *from, size_t length, deadline_t deadline) {
  for (const char *at = from; length > 0;) {
    enum io ready = wait_for(fd, POLLOUT, deadline, -1);
    if (ready != IO_DONE) return ready;
    ssize_t n = write(fd, at, length < WRITE_CHUNK ? length : WRITE_CHUNK);
    if (n >= 0) at += n, length -= (size_t)n;
    else if (errno == EPIPE || errno == ECONNRESET) return IO_END;
    else if (errno != EINTR && errno != EAGAIN) return IO_FAILED;
  }
  return IO_DONE;
}
