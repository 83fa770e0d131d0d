#include "probe.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "agent.h"
#include "io.h"
#include "limits.h"

enum { ANSWER_LIMIT = 64 << 10, PATH_LIMIT = 64 };

static int say(const char *what, const char *why) {
  dprintf(STDOUT_FILENO, "cannot %s: %s\n", what, why);
  return 1;
}

static int reach(void) {
  static const struct sockaddr_un address = {.sun_family = AF_UNIX, .sun_path = RAILNET_HEALTH_SOCKET};
  int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
  if (fd < 0) return -1;
  if (!connect(fd, (const struct sockaddr *)&address, sizeof address)) return fd;
  int error = errno;
  close(fd);
  errno = error;
  return -1;
}

/* An agent of 0.1.0 has no such socket, and answers on the other one once it serves: its successor's rollout waits for that. */
static int serves_as_before(deadline_t deadline) {
  int fd;
  if (agent_connect(deadline, &fd) != AGENT_REACHED) return 0;
  close(fd);
  return 1;
}

/* The body of an HTTP answer; everything if there is no header. */
static const char *body_of(const char *answer) {
  const char *end = strstr(answer, "\r\n\r\n");
  return end ? end + 4 : answer;
}

int probe(char **arguments) {
  const char *path = arguments[1];
  if (!path || path[0] != '/' || strlen(path) > PATH_LIMIT) return say("probe", "want a path: /readyz or /healthz");
  deadline_t deadline = deadline_in(RAILNET_PROBE_MS);
  int fd = reach();
  if (fd < 0) {
    const char *why = strerror(errno);
    return serves_as_before(deadline) ? 0 : say("reach the agent at " RAILNET_HEALTH_SOCKET, why);
  }
  char request[PATH_LIMIT + 64];
  int length = snprintf(request, sizeof request, "GET %s HTTP/1.0\r\nConnection: close\r\n\r\n", path);
  if (io_write_all(fd, request, (size_t)length, deadline) != IO_DONE)
    return say("ask the agent", "it does not read");
  struct buffer answer;
  if (io_read_to_end(fd, ANSWER_LIMIT, deadline, &answer) != IO_DONE)
    return say("hear the agent", "it does not answer in time");
  char text[ANSWER_LIMIT + 1];
  memcpy(text, answer.data, answer.length);
  text[answer.length] = 0;
  if (!strncmp(text, "HTTP/1.1 200 ", 13)) return 0;
  dprintf(STDOUT_FILENO, "%s", *text ? body_of(text) : "the agent closed the connection\n");
  return 1;
}
