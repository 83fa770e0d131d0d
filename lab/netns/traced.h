// What die-at and disk-trace share: a command stopped by the kernel at chosen system calls, and what these calls name.
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <signal.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

// What names the file: a descriptor in an argument, or a path in the one or two arguments that may hold one.
struct call {
  long nr;
  const char *name;
  int fd, path, other;
};

static const struct call CALLS[] = {
    {SYS_openat, "openat", -1, 1, -1},       {SYS_write, "write", 0, -1, -1},
    {SYS_pwrite64, "pwrite64", 0, -1, -1},   {SYS_writev, "writev", 0, -1, -1},
    {SYS_ftruncate, "ftruncate", 0, -1, -1}, {SYS_fallocate, "fallocate", 0, -1, -1},
    {SYS_mkdirat, "mkdirat", -1, 1, -1},     {SYS_unlinkat, "unlinkat", -1, 1, -1},
    {SYS_linkat, "linkat", -1, 1, 3},        {SYS_renameat, "renameat", -1, 1, 3},
    {SYS_renameat2, "renameat2", -1, 1, 3},
#ifdef __x86_64__ // calls that arm64 never had
    {SYS_open, "open", -1, 0, -1},           {SYS_creat, "creat", -1, 0, -1},
    {SYS_mkdir, "mkdir", -1, 0, -1},         {SYS_rmdir, "rmdir", -1, 0, -1},
    {SYS_unlink, "unlink", -1, 0, -1},       {SYS_link, "link", -1, 0, 1},
    {SYS_rename, "rename", -1, 0, 1},
#endif
    // From here on: calls that change no file, but put one on the disk.
    {SYS_fsync, "fsync", 0, -1, -1},         {SYS_fdatasync, "fdatasync", 0, -1, -1},
};
enum { COUNT = sizeof CALLS / sizeof *CALLS, SYNCS = 2 };

static void die(const char *what) {
  perror(what);
  exit(125);
}

// The kernel stops the command at these calls alone, so that it runs at its own speed between them.
static void stop_at_calls(void) {
  struct sock_filter code[COUNT + 3];
  code[0] = (struct sock_filter)BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr));
  for (int i = 0; i < COUNT; i++)
    code[i + 1] = (struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, (unsigned)CALLS[i].nr, (unsigned char)(COUNT - i), 0);
  code[COUNT + 1] = (struct sock_filter)BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW);
  code[COUNT + 2] = (struct sock_filter)BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_TRACE);
  struct sock_fprog program = {COUNT + 3, code};
  if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) || prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program)) die("seccomp");
}

static void read_text(pid_t thread, unsigned long long at, char *text) {
  memset(text, 0, PATH_MAX);
  for (size_t done = 0; done + sizeof(long) < PATH_MAX; done += sizeof(long)) {
    errno = 0;
    long word = ptrace(PTRACE_PEEKDATA, thread, at + done, 0);
    if (errno) return;
    memcpy(text + done, &word, sizeof word);
    if (memchr(&word, 0, sizeof word)) return;
  }
}

static int is_below(const char *path, const char *dir) {
  size_t length = strlen(dir);
  return !strncmp(path, dir, length) && (path[length] == '/' || !path[length]);
}

// Whether the call names a file below dir; path[0] (of an argument or a descriptor) and path[1] are left for the caller.
static int names(pid_t thread, const struct call *call, const unsigned long long args[6], const char *dir, char path[2][PATH_MAX]) {
  memset(path, 0, 2 * PATH_MAX);
  if (call->fd >= 0) {
    char link[64];
    snprintf(link, sizeof link, "/proc/%d/fd/%d", thread, (int)args[call->fd]);
    return readlink(link, path[0], PATH_MAX - 1) > 0 && is_below(path[0], dir);
  }
  read_text(thread, args[call->path], path[0]);
  if (call->other >= 0) read_text(thread, args[call->other], path[1]);
  return is_below(path[0], dir) || is_below(path[1], dir);
}

static const struct call *call_of(long nr) {
  const struct call *call = CALLS;
  while (call->nr != nr) call++;
  return call;
}

// Starts the command and follows all its threads and children. It ends with the tracer.
static pid_t start_traced(char **argv) {
  pid_t child = fork();
  if (child < 0) die("fork");
  if (child == 0) {
    raise(SIGSTOP); // until it is traced
    stop_at_calls();
    execv(argv[0], argv);
    die(argv[0]);
  }
  if (waitpid(child, NULL, WUNTRACED) < 0) die("waitpid");
  const long options = PTRACE_O_TRACESECCOMP | PTRACE_O_TRACESYSGOOD | PTRACE_O_TRACECLONE | PTRACE_O_TRACEFORK |
                       PTRACE_O_TRACEVFORK | PTRACE_O_EXITKILL;
  if (ptrace(PTRACE_SEIZE, child, 0, options)) die("ptrace");
  kill(child, SIGCONT);
  return child;
}

// Lets a thread that stopped for any other reason go on.
static void go_on(pid_t thread, int status) {
  int event = status >> 16, signal = event ? 0 : WSTOPSIG(status);
  if (event == PTRACE_EVENT_STOP && (WSTOPSIG(status) == SIGSTOP || WSTOPSIG(status) == SIGTSTP))
    ptrace(PTRACE_LISTEN, thread, 0, 0);
  else
    ptrace(PTRACE_CONT, thread, 0, signal);
}
