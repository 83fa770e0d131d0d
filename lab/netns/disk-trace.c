// disk-trace TRACE DIR COMMAND...: runs a command and writes to TRACE what it does to the files below DIR, a line for each
// system call that succeeded, in the order in which they ended, and the calls that put a file on the disk (fsync, fdatasync):
//   open PATH INODE SIZE CREATED      a file was made, or emptied (CREATED 0); other opens are left out
//   write INODE OFFSET HEX            truncate INODE SIZE       sync INODE
//   mkdir PATH INODE                  unlink PATH INODE         link PATH INODE           rename FROM TO INODE
//   answer                            something was written to standard output
// Paths are absolute, without spaces. What it cannot tell (a vector of buffers, a relative path) ends it with an error. Exits as
// the command does.
#include "traced.h" // first: it asks for GNU extensions

#include <sys/stat.h>
#include <sys/uio.h>

// A call between its begin and its end, of one thread.
static struct pending {
  pid_t thread;
  const struct call *call;
  unsigned long long args[6];
  char path[2][PATH_MAX];
  unsigned long inode; // of what goes, or is emptied; 0: not there yet
} pending[64];

static FILE *out;
static const char *dir;

static struct pending *pending_of(pid_t thread) {
  for (struct pending *p = pending; p < pending + 64; p++)
    if (p->thread == thread) return p;
  return NULL;
}

static void cannot_tell(const struct call *call, const char *path) {
  fprintf(stderr, "disk-trace: cannot tell what %s did to %s\n", call->name, path);
  exit(125);
}

static unsigned long inode_of(const char *path) {
  struct stat at;
  return lstat(path, &at) ? 0 : at.st_ino;
}

static unsigned long inode_of_fd(pid_t thread, int fd) {
  char link[64];
  struct stat at;
  snprintf(link, sizeof link, "/proc/%d/fd/%d", thread, fd);
  return stat(link, &at) ? 0 : at.st_ino;
}

static long long offset_of_fd(pid_t thread, int fd) {
  char file[64];
  long long at = -1;
  snprintf(file, sizeof file, "/proc/%d/fdinfo/%d", thread, fd);
  FILE *info = fopen(file, "r");
  if (info && fscanf(info, "pos: %lld", &at) != 1) at = -1;
  if (info) fclose(info);
  return at;
}

static void write_data(const struct pending *p, long long offset, size_t length) {
  unsigned char *data = malloc(length + 1);
  struct iovec here = {data, length}, there = {(void *)p->args[1], length};
  if (!data || process_vm_readv(p->thread, &here, 1, &there, 1, 0) != (ssize_t)length) cannot_tell(p->call, p->path[0]);
  fprintf(out, "write %lu %lld ", inode_of_fd(p->thread, (int)p->args[0]), offset);
  for (size_t i = 0; i < length; i++) fprintf(out, "%02x", data[i]);
  fputc('\n', out);
  free(data);
}

static void tell(const struct pending *p, long long result) {
  const char *name = p->call->name;
  if (!is_below(p->path[0], dir) && !is_below(p->path[1], dir)) {
    fprintf(out, "answer\n");
  } else if (!strncmp(name, "open", 4) || !strcmp(name, "creat")) {
    unsigned long inode = inode_of_fd(p->thread, (int)result);
    if (p->inode != inode) fprintf(out, "open %s %lu 0 1\n", p->path[0], inode);
    else if (!strcmp(name, "creat") || (p->args[p->call->path + 1] & O_TRUNC)) fprintf(out, "open %s %lu 0 0\n", p->path[0], inode);
  } else if (!strcmp(name, "write")) {
    write_data(p, offset_of_fd(p->thread, (int)p->args[0]) - result, (size_t)result);
  } else if (!strcmp(name, "pwrite64")) {
    write_data(p, (long long)p->args[3], (size_t)result);
  } else if (!strcmp(name, "ftruncate")) {
    fprintf(out, "truncate %lu %llu\n", inode_of_fd(p->thread, (int)p->args[0]), p->args[1]);
  } else if (!strcmp(name, "fsync") || !strcmp(name, "fdatasync")) {
    fprintf(out, "sync %lu\n", inode_of_fd(p->thread, (int)p->args[0]));
  } else if (!strncmp(name, "mkdir", 5)) {
    fprintf(out, "mkdir %s %lu\n", p->path[0], inode_of(p->path[0]));
  } else if (!strncmp(name, "unlink", 6) || !strcmp(name, "rmdir")) {
    fprintf(out, "unlink %s %lu\n", p->path[0], p->inode);
  } else if (!strncmp(name, "link", 4)) {
    fprintf(out, "link %s %lu\n", p->path[1], inode_of(p->path[1]));
  } else if (!strncmp(name, "rename", 6)) {
    fprintf(out, "rename %s %s %lu\n", p->path[0], p->path[1], p->inode);
  } else {
    cannot_tell(p->call, p->path[0]);
  }
}

// @returns whether the call's end is of interest.
static int begins(pid_t thread, const struct __ptrace_syscall_info *info) {
  struct pending *p = pending_of(0);
  if (!p) die("too many threads");
  const struct call *call = call_of((long)info->seccomp.nr);
  const unsigned long long *args = (const unsigned long long *)info->seccomp.args;
  const int answers = call->nr == SYS_write && args[0] == STDOUT_FILENO;
  if (!names(thread, call, args, dir, p->path) && !answers) {
    if (call->fd < 0 && p->path[0][0] != '/' && (strncmp(call->name, "open", 4) || (args[call->path + 1] & O_CREAT)))
      cannot_tell(call, p->path[0]);
    return 0;
  }
  p->thread = thread;
  p->call = call;
  memcpy(p->args, args, sizeof p->args);
  p->inode = call->fd < 0 ? inode_of(p->path[0]) : 0;
  return 1;
}

static void ends(pid_t thread, struct pending *p) {
  struct __ptrace_syscall_info info;
  if (ptrace(PTRACE_GET_SYSCALL_INFO, thread, sizeof info, &info) <= 0 || info.op != PTRACE_SYSCALL_INFO_EXIT) return;
  if (!info.exit.is_error) tell(p, info.exit.rval);
  p->thread = 0;
}

int main(int argc, char **argv) {
  if (argc < 4) {
    fprintf(stderr, "usage: disk-trace TRACE DIR COMMAND...\n");
    return 125;
  }
  if (!(out = fopen(argv[1], "w"))) die(argv[1]);
  setlinebuf(out); // a reader sees what came before what it sees the command do elsewhere
  dir = argv[2];
  pid_t child = start_traced(argv + 3);
  for (;;) {
    int status;
    pid_t thread = waitpid(-1, &status, __WALL);
    if (thread < 0) die("waitpid");
    if (thread == child && (WIFEXITED(status) || WIFSIGNALED(status))) {
      if (fclose(out)) die(argv[1]);
      return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
    }
    struct pending *p = pending_of(thread);
    if (!WIFSTOPPED(status)) {
      if (p) p->thread = 0;
      continue;
    }
    struct __ptrace_syscall_info info;
    if (p && status >> 16 == 0 && WSTOPSIG(status) == (SIGTRAP | 0x80)) {
      ends(thread, p);
      ptrace(pending_of(thread) ? PTRACE_SYSCALL : PTRACE_CONT, thread, 0, 0);
    } else if (status >> 16 == PTRACE_EVENT_SECCOMP && ptrace(PTRACE_GET_SYSCALL_INFO, thread, sizeof info, &info) > 0 &&
               begins(thread, &info)) {
      ptrace(PTRACE_SYSCALL, thread, 0, 0);
    } else {
      go_on(thread, status);
    }
  }
}
