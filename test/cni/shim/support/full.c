/* Stands in for the full binary: prints, NUL-terminated, what it was given, then its stdin. FULL_MS: how long it takes;
 * FULL_LOG: a file that gets "begin" and "end" lines; FULL_EXIT: its exit status. */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static void say(const char *key, const char *value) { printf("%s=%s%c", key, value, 0); }

static void note(const char *line) {
  const char *path = getenv("FULL_LOG");
  int fd = path ? open(path, O_WRONLY | O_APPEND | O_CREAT, 0600) : -1;
  if (fd >= 0 && write(fd, line, strlen(line)) < 0) exit(99);
}

int main(int argc, char **argv, char **environment) {
  static char bytes[1 << 16], cwd[4096];
  note("begin\n");
  for (int i = 0; i < argc; i++) say("arg", argv[i]);
  say("cwd", getcwd(cwd, sizeof cwd) ? cwd : "?");
  for (; *environment; environment++) say("env", *environment);
  say("stdin", "");
  for (size_t n; (n = fread(bytes, 1, sizeof bytes, stdin)) > 0;) fwrite(bytes, 1, n, stdout);
  if (getenv("FULL_MS")) usleep((unsigned)atoi(getenv("FULL_MS")) * 1000);
  note("end\n");
  return getenv("FULL_EXIT") ? atoi(getenv("FULL_EXIT")) : 0;
}
