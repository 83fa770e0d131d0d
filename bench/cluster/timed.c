/* bin/NAME: runs ../timed/NAME in its place, with the same arguments, environment and standard streams, and appends to
 * ../timed/calls a line of JSON: {"plugin", "verb", "container", "ifname", "exit", "ms"}. What is timed is from before the
 * start of the other to after its end, by the monotonic clock: what whoever runs plugins waits for one. */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <limits.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/auxv.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static double now_ms(void) {
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return (double)t.tv_sec * 1e3 + (double)t.tv_nsec / 1e6;
}

static const char *cni(const char *name) {
  const char *value = getenv(name);
  return value ? value : "";
}

int main(int argc, char **argv) {
  (void)argc;
  char self[PATH_MAX], real[PATH_MAX], calls[PATH_MAX], line[1024];
  snprintf(self, sizeof self, "%s", (const char *)getauxval(AT_EXECFN));
  const char *name = strdup(basename(self)), *folder = dirname(self);
  snprintf(real, sizeof real, "%.2000s/../timed/%.255s", folder, name);
  snprintf(calls, sizeof calls, "%.2000s/../timed/calls", folder);

  int status;
  pid_t pid;
  double begin = now_ms();
  if ((errno = posix_spawn(&pid, real, 0, 0, argv, environ)) != 0) {
    fprintf(stderr, "timed: cannot run %s: %s\n", real, strerror(errno));
    return 127;
  }
  while (waitpid(pid, &status, 0) < 0 && errno == EINTR) {}
  double ms = now_ms() - begin;

  int code = WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
  int length = snprintf(line, sizeof line,
    "{\"plugin\":\"%.255s\",\"verb\":\"%.16s\",\"container\":\"%.128s\",\"ifname\":\"%.16s\",\"exit\":%d,\"ms\":%.3f}\n",
    name, cni("CNI_COMMAND"), cni("CNI_CONTAINERID"), cni("CNI_IFNAME"), code, ms);
  int fd = open(calls, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0644); /* one write a line: calls at once do not mix */
  if (fd < 0 || write(fd, line, (size_t)length) != length) {
    fprintf(stderr, "timed: cannot write %s: %s\n", calls, strerror(errno));
    return 127;
  }
  return code;
}
