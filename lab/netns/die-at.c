// die-at REPORT N DIR COMMAND...: runs a command and kills it (SIGKILL, all threads) where it is about to change DIR for the
// Nth time, counted from 1; N 0 never. Changes are the system calls that make, write, rename, link or remove a file.
// A sync is none: what was written outlives a kill without it.
// Writes to REPORT how many it came to, and the name of the one before which it died. Exits as the command does, or 137.
#include "traced.h"

static int changes(pid_t thread, const struct call *call, const unsigned long long args[6], const char *dir) {
  static char path[2][PATH_MAX];
  if (call >= CALLS + COUNT - SYNCS) return 0;
  if (call->fd < 0 && !strncmp(call->name, "open", 4) && !(args[call->path + 1] & O_CREAT)) return 0;
  return names(thread, call, args, dir, path);
}

static void report(const char *file, long came, const char *before) {
  FILE *out = fopen(file, "w");
  if (!out) die(file);
  fprintf(out, "%ld %s\n", came, before);
  if (fclose(out)) die(file);
}

int main(int argc, char **argv) {
  if (argc < 5) {
    fprintf(stderr, "usage: die-at REPORT N DIR COMMAND...\n");
    return 125;
  }
  const char *file = argv[1], *dir = argv[3];
  long nth = atol(argv[2]), came = 0;
  pid_t child = start_traced(argv + 4);
  for (;;) {
    int status;
    pid_t thread = waitpid(-1, &status, __WALL);
    if (thread < 0) die("waitpid");
    if (thread == child && (WIFEXITED(status) || WIFSIGNALED(status))) {
      if (nth == 0 || came < nth) report(file, came, "nothing");
      return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
    }
    if (!WIFSTOPPED(status)) continue; // another thread ended
    struct __ptrace_syscall_info info;
    if (status >> 16 == PTRACE_EVENT_SECCOMP && ptrace(PTRACE_GET_SYSCALL_INFO, thread, sizeof info, &info) > 0) {
      const struct call *call = call_of((long)info.seccomp.nr);
      if (changes(thread, call, (const unsigned long long *)info.seccomp.args, dir) && ++came == nth) {
        report(file, came, call->name);
        kill(child, SIGKILL);
        continue;
      }
    }
    go_on(thread, status);
  }
}
