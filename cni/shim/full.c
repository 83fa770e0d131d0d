#include "full.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <string.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <unistd.h>

#include "error.h"
#include "limits.h"

int full_lock(deadline_t deadline) {
  /* Not close-on-exec: the lock must live as long as the binary does, even if the caller is killed. */
  int fd = open(RAILNET_EXEC_LOCK, O_RDWR | O_CREAT | O_NOFOLLOW, 0600);
  if (fd < 0) return -1;
  while (flock(fd, LOCK_EX | LOCK_NB)) {
    int error = errno;
    if ((error == EWOULDBLOCK || error == EINTR) && deadline_pause(deadline, RETRY_PAUSE_MS)) continue;
    close(fd);
    errno = error;
    return -1;
  }
  return fd;
}

/* Makes `input`, which has been read, readable again as descriptor 0. */
static int replay(const struct buffer *input) {
  int fd = memfd_create("stdin", MFD_CLOEXEC);
  if (fd < 0) return -1;
  enum io io = io_write_all(fd, input->data, input->length, deadline_in(RAILNET_OTHER_MS));
  int ok = io == IO_DONE && lseek(fd, 0, SEEK_SET) == 0 && dup2(fd, STDIN_FILENO) == 0;
  close(fd);
  return ok ? 0 : -1;
}

/* Bun obeys BUN_ and NODE_ variables even in compiled binaries: BUN_BE_BUN=1 makes them a JavaScript shell. */
static void scrub(char **environment) {
  char **to = environment;
  for (char **from = environment; *from; from++)
    if (strncmp(*from, "BUN_", 4) && strncmp(*from, "NODE_", 5)) *to++ = *from;
  *to = NULL;
}

/* Puts the path of the `railnet` beside this executable into `path`, or "" if unknown. False when this executable is
 * itself called so: it would execute itself for ever. */
static int find_beside(char path[PATH_MAX]) {
  static const char file[] = "railnet";
  ssize_t n = readlink("/proc/self/exe", path, PATH_MAX - sizeof file);
  path[n > 0 ? n : 0] = 0;
  char *slash = strrchr(path, '/');
  if (!slash) return 1;
  if (!strcmp(slash + 1, file)) return 0;
  memcpy(slash + 1, file, sizeof file);
  return 1;
}

static int run_binary(char **arguments, char **environment) {
  char beside[PATH_MAX];
  if (!find_beside(beside)) return ELOOP;
  execve(RAILNET_BINARY, arguments, environment);
  int error = errno;
  if (error == ENOENT || error == ENOTDIR) execve(beside, arguments, environment);
  return error;
}

int full_become(char **arguments, char **environment, const struct buffer *input) {
  if (input && replay(input)) return error_print(CNI_IO_FAILURE, "hand on stdin", "no memory file", errno);
  scrub(environment);
  signal(SIGPIPE, SIG_DFL);
  /* Under a chroot without chdir the working directory lies outside the root, and Bun does not start there. */
  if (chdir("/")) return error_print(CNI_IO_FAILURE, "change to /", "refused", errno);
  int error = run_binary(arguments, environment);
  signal(SIGPIPE, SIG_IGN);
  return error_print(CNI_NOT_AVAILABLE, "run " RAILNET_BINARY, "no agent answers, and this failed too", error);
}
