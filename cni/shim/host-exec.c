#include "host-exec.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <unistd.h>

#include "deadline.h"
#include "error.h"
#include "limits.h"

enum { BUSY_TRIES = 5, BUSY_PAUSE_MS = 1000 };

static int enter_host(void) {
  int fd = open(RAILNET_INIT_MOUNTS, O_RDONLY | O_CLOEXEC);
  if (fd < 0) return -1;
  int failed = setns(fd, CLONE_NEWNS);
  int error = errno;
  close(fd);
  errno = error;
  return failed ? -1 : chdir("/");
}

int host_exec(char **arguments, char **environment) {
  if (!arguments[0] || !arguments[1] || arguments[1][0] != '/')
    return error_print(CNI_INVALID_ENVIRONMENT, "run a host binary", "want: railnet-host-exec /path/to/binary [argument...]", 0);
  if (enter_host()) return error_print(CNI_IO_FAILURE, "enter " RAILNET_INIT_MOUNTS, "refused", errno);
  /* A binary that is being replaced is busy for a moment: libcni tries five times, a second apart. */
  for (int i = 0; i < BUSY_TRIES; i++) {
    if (i) deadline_pause(deadline_in(2 * BUSY_PAUSE_MS), BUSY_PAUSE_MS);
    execve(arguments[1], arguments + 1, environment);
    if (errno != ETXTBSY) break;
  }
  return error_print(CNI_IO_FAILURE, "run a host binary", arguments[1], errno);
}
