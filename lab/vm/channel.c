// The guest's end of the command channel (host's end: channel.ts): channel PORT..., as PID 1, one worker a virtio-serial port.
// Wire: hello = magic and an 8-byte nonce, echoed; then frames of type (1 byte), length (u32 big endian), payload.
//   host to guest: V environment, C directory (both optional), R argv (starts), I standard input (empty = end), K kill
//   guest to host: O stdout, E stderr, X exit status (u32) and duration in microseconds (u32)
// Lists are NUL-terminated strings. One command at a time a port; the port stays open for the next one.
// A hello in place of a frame, a closed port or K kills the command's process group. Environment entries are added to PID 1's.
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static const char MAGIC[] = "\xf0VMX2\n";
enum { MAGIC_LEN = 6, NONCE_LEN = 8, HEAD_LEN = 5, CHUNK = 65536, MAX_FRAME = 16 << 20, MAX_LIST = 4096 };

struct frame { unsigned char type; uint32_t length; char *payload; };
struct command { pid_t pid; int in, out, err, pidfd; char *input; size_t input_length; int input_ends; };

extern char **environ;
static char buffer[CHUNK];

static uint32_t microseconds(void) {
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return (uint64_t)t.tv_sec * 1000000 + t.tv_nsec / 1000;
}

static int put(int fd, const void *data, size_t n) {
  for (const char *p = data; n;) {
    ssize_t k = write(fd, p, n);
    if (k < 0 && errno == EINTR) continue;
    if (k <= 0) return -1;
    p += k; n -= k;
  }
  return 0;
}

static int get(int fd, void *data, size_t n) {
  for (char *p = data; n;) {
    ssize_t k = read(fd, p, n);
    if (k < 0 && errno == EINTR) continue;
    if (k <= 0) return -1;
    p += k; n -= k;
  }
  return 0;
}

static int send_frame(int port, char type, const void *data, uint32_t n) {
  char head[HEAD_LEN + CHUNK];
  uint32_t length = htonl(n);
  head[0] = type; memcpy(head + 1, &length, 4); memcpy(head + HEAD_LEN, data, n);
  return put(port, head, HEAD_LEN + n);
}

// Echoes the nonce of a hello whose magic has been read.
static int greet(int port) {
  char hello[MAGIC_LEN + NONCE_LEN];
  memcpy(hello, MAGIC, MAGIC_LEN);
  return get(port, hello + MAGIC_LEN, NONCE_LEN) || put(port, hello, sizeof hello) ? -1 : 0;
}

// Skips what an aborted session left, up to the next hello.
static int await_hello(int port) {
  int have = 0; char c;
  while (have < MAGIC_LEN) {
    if (get(port, &c, 1)) return -1;
    have = c == MAGIC[have] ? have + 1 : c == MAGIC[0];
  }
  return greet(port);
}

// 0: a frame (free its payload); 1: a new session began instead; -1: the port closed.
static int read_frame(int port, struct frame *f) {
  char head[HEAD_LEN], c;
  if (get(port, head, HEAD_LEN)) return -1;
  if (!memcmp(head, MAGIC, HEAD_LEN)) return get(port, &c, 1) || greet(port) ? -1 : 1;
  f->type = head[0]; memcpy(&f->length, head + 1, 4); f->length = ntohl(f->length);
  if (f->length > MAX_FRAME) return -1;
  f->payload = malloc(f->length + 1);
  if (get(port, f->payload, f->length)) { free(f->payload); return -1; }
  f->payload[f->length] = 0;
  return 0;
}

static int split(char *text, uint32_t length, char **list, int n) {
  for (char *p = text; p < text + length && n < MAX_LIST - 1; p += strlen(p) + 1) list[n++] = p;
  list[n] = NULL;
  return n;
}

static int start(struct command *c, char **argv, char **env, const char *directory) {
  int in[2], out[2], err[2];
  if (pipe2(in, O_CLOEXEC) || pipe2(out, O_CLOEXEC) || pipe2(err, O_CLOEXEC)) return errno;
  posix_spawn_file_actions_t files; posix_spawnattr_t how; sigset_t none;
  posix_spawn_file_actions_init(&files); posix_spawnattr_init(&how); sigemptyset(&none);
  posix_spawn_file_actions_adddup2(&files, in[0], 0);
  posix_spawn_file_actions_adddup2(&files, out[1], 1);
  posix_spawn_file_actions_adddup2(&files, err[1], 2);
  if (directory) posix_spawn_file_actions_addchdir_np(&files, directory);
  sigset_t usual; sigemptyset(&usual); sigaddset(&usual, SIGPIPE);
  posix_spawnattr_setsigmask(&how, &none); posix_spawnattr_setsigdefault(&how, &usual);
  posix_spawnattr_setflags(&how, POSIX_SPAWN_SETSID | POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF);
  int failure = posix_spawnp(&c->pid, argv[0], &files, &how, argv, env);
  posix_spawn_file_actions_destroy(&files); posix_spawnattr_destroy(&how);
  close(in[0]); close(out[1]); close(err[1]);
  c->in = in[1]; c->out = out[0]; c->err = err[0]; c->pidfd = failure ? -1 : (int)syscall(SYS_pidfd_open, c->pid, 0);
  fcntl(c->in, F_SETFL, O_NONBLOCK); // a command that does not read its input must not hold up its output
  return failure;
}

static void feed(struct command *c) {
  if (c->in < 0) return;
  ssize_t k = c->input_length ? write(c->in, c->input, c->input_length) : 0;
  if (k < 0 && errno != EAGAIN) { c->input_length = 0; c->input_ends = 1; }
  if (k > 0) memmove(c->input, c->input + k, c->input_length -= k);
  if (!c->input_length && c->input_ends) { close(c->in); c->in = -1; }
}

static void take(struct command *c, struct frame *f) {
  if (!f->length) c->input_ends = 1;
  c->input = realloc(c->input, c->input_length + f->length + 1);
  memcpy(c->input + c->input_length, f->payload, f->length);
  c->input_length += f->length;
  feed(c);
}

// Passes on what is there; closes a stream that ended.
static int drain(int port, int *fd, char type) {
  struct pollfd ready = {*fd, POLLIN, 0};
  while (*fd >= 0 && poll(&ready, 1, 0) > 0) {
    ssize_t k = read(*fd, buffer, sizeof buffer);
    if (k <= 0) { close(*fd); *fd = -1; break; }
    if (send_frame(port, type, buffer, k)) return -1;
  }
  return 0;
}

// Runs until the command has exited. 0: port still in session; 1: new session; -1: closed.
static int attend(int port, struct command *c, int *status) {
  int session = 0;
  for (;;) {
    struct pollfd p[] = {{c->pidfd, POLLIN, 0}, {session ? -1 : port, POLLIN, 0}, {c->out, POLLIN, 0}, {c->err, POLLIN, 0}, {c->input_length ? c->in : -1, POLLOUT, 0}};
    if (poll(p, 5, -1) < 0) continue;
    int over = waitpid(c->pid, status, WNOHANG) == c->pid; // before draining: a daemon it left keeps the pipes open
    if (!session && (drain(port, &c->out, 'O') || drain(port, &c->err, 'E'))) session = -1;
    if (over) return session;
    if (p[4].revents) feed(c);
    if (!session && p[1].revents) {
      struct frame f;
      session = p[1].revents & POLLIN ? read_frame(port, &f) : -1;
      if (session || f.type == 'K') kill(-c->pid, SIGKILL);
      else if (f.type == 'I') take(c, &f);
      if (!session) free(f.payload);
    }
  }
}

static int run(int port, char **argv, char **env, const char *directory) {
  struct command c = {.in = -1};
  uint32_t begin = microseconds(), answer[2];
  int status = 127 << 8, session = 0, failure = start(&c, argv, env, directory);
  if (failure) session = send_frame(port, 'E', buffer, snprintf(buffer, sizeof buffer, "%s: %s\n", argv[0], strerror(failure)));
  else session = attend(port, &c, &status);
  int fds[] = {c.in, c.out, c.err, c.pidfd};
  for (int i = 0; i < 4; i++) if (fds[i] >= 0) close(fds[i]);
  free(c.input);
  answer[0] = htonl(WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status));
  answer[1] = htonl(microseconds() - begin);
  return session ? session : send_frame(port, 'X', answer, sizeof answer);
}

static int inherited(char **env) {
  int n = 0;
  while (environ[n] && n < MAX_LIST / 2) { env[n] = environ[n]; n++; }
  env[n] = NULL;
  return n;
}

// Commands one after the other until the session ends; like read_frame's 1 or -1.
static int session(int port) {
  static char *argv[MAX_LIST], *env[MAX_LIST];
  char *environment = NULL, *directory = NULL;
  inherited(env);
  for (struct frame f;;) {
    int ended = read_frame(port, &f);
    if (ended) { free(environment); free(directory); return ended; }
    if (f.type == 'V') { free(environment); environment = f.payload; split(environment, f.length, env, inherited(env)); continue; }
    if (f.type == 'C') { free(directory); directory = f.payload; continue; }
    if (f.type == 'R' && split(f.payload, f.length, argv, 0)) {
      ended = run(port, argv, env, directory);
      free(environment); free(directory); environment = directory = NULL; inherited(env);
    }
    free(f.payload); // I and K of a command that has ended by itself end here
    if (ended) return ended;
  }
}

static void serve(const char *path) {
  int port = open(path, O_RDWR | O_CLOEXEC), on;
  if (port < 0) { perror(path); _exit(1); }
  sigset_t io; sigemptyset(&io); sigaddset(&io, SIGIO); sigprocmask(SIG_BLOCK, &io, NULL);
  signal(SIGPIPE, SIG_IGN);
  fcntl(port, F_SETOWN, getpid()); fcntl(port, F_SETFL, O_ASYNC); // SIGIO when the host opens or closes its end
  for (struct timespec second = {1, 0};;) {
    for (on = !await_hello(port); on; on = session(port) > 0) {}
    sigtimedwait(&io, NULL, &second);
  }
}

int main(int argc, char **argv) {
  for (int i = 1; i < argc; i++) if (!fork()) serve(argv[i]);
  for (;;) if (wait(NULL) < 0) pause();
}
