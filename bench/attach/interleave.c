/* interleave ROUNDS GAP_MS < JOBS: wall times of commands, one run of each job a round, so that noise falls on all alike.
 * JOBS are lines of tab-separated words:
 *   job LABEL                        what is timed: from the first start to the last end
 *   chain                            steps one after the other; the chains of a job run at once
 *   step WORD... -- ARGUMENT...      words: netns=PATH, stdin=PATH, env=KEY=VALUE
 * Commands get no other environment than PATH and theirs. Output: a line of JSON a job, {"label", "failed", "ms": [...]}.
 * A command that fails is run on, counted, and its output shown on stderr for the first three. */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

/* The kernel's grace periods end at its tick (1 to 10 ms), and so does a job that waits for one: without a gap of random length
 * the next job would always begin in the same phase, and half a millisecond of work could cost a whole tick, or nothing. */
enum { JOBS = 64, CHAINS = 64, STEPS = 4, WORDS = 32, SHOWN = 3, PHASE_US = 20000 };

struct step {
  char *argument[WORDS], *variable[WORDS];
  char *stdin_path;
  int arguments, variables, netns;
};

struct chain {
  struct step step[STEPS];
  int steps, at, output;
  pid_t pid;
};

static struct job {
  char *label;
  struct chain *chain[CHAINS];
  int chains, failed;
  double *ms;
} job[JOBS];

static int shown;

static void die(const char *what) {
  fprintf(stderr, "interleave: cannot %s: %s\n", what, strerror(errno));
  exit(2);
}

static double now_ms(void) {
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return (double)t.tv_sec * 1e3 + (double)t.tv_nsec / 1e6;
}

static void *zeroed(size_t size) {
  void *p = calloc(1, size);
  if (!p) die("allocate");
  return p;
}

static int open_netns(const char *path) {
  int fd = open(path, O_RDONLY | O_CLOEXEC);
  if (fd < 0) die(path);
  return fd;
}

static void read_step(struct step *s, char **rest) {
  static char path[] = "PATH=/usr/sbin:/usr/bin:/sbin:/bin";
  int is_argument = 0;
  s->netns = -1;
  s->variable[s->variables++] = path;
  for (char *word; (word = strsep(rest, "\t"));) {
    if (s->arguments == WORDS - 1 || s->variables == WORDS - 1) errno = E2BIG, die("read a step");
    if (is_argument) s->argument[s->arguments++] = word;
    else if (!strcmp(word, "--")) is_argument = 1;
    else if (!strncmp(word, "netns=", 6)) s->netns = open_netns(word + 6);
    else if (!strncmp(word, "stdin=", 6)) s->stdin_path = word + 6;
    else if (!strncmp(word, "env=", 4)) s->variable[s->variables++] = word + 4;
    else errno = EINVAL, die(word);
  }
}

static int read_jobs(int rounds) {
  static char line[1 << 16];
  int jobs = 0;
  while (fgets(line, sizeof line, stdin)) {
    line[strcspn(line, "\n")] = 0;
    char *rest = strdup(line), *word = strsep(&rest, "\t");
    struct job *j = &job[jobs - 1];
    if (!strcmp(word, "job") && jobs < JOBS) {
      job[jobs].ms = zeroed((size_t)rounds * sizeof(double));
      job[jobs++].label = strsep(&rest, "\t");
    } else if (!strcmp(word, "chain") && jobs && j->chains < CHAINS) {
      j->chain[j->chains] = zeroed(sizeof(struct chain));
      j->chain[j->chains++]->output = memfd_create("output", MFD_CLOEXEC);
    } else if (!strcmp(word, "step") && jobs && j->chains && j->chain[j->chains - 1]->steps < STEPS) {
      struct chain *c = j->chain[j->chains - 1];
      read_step(&c->step[c->steps++], &rest);
    } else errno = EINVAL, die(line);
  }
  return jobs;
}

/* In the child, which shares the parent's memory until it executes. */
static void become(const struct step *s, int output) {
  if (s->netns >= 0 && setns(s->netns, CLONE_NEWNET)) _exit(125);
  int in = open(s->stdin_path ? s->stdin_path : "/dev/null", O_RDONLY | O_CLOEXEC);
  if (dup2(in, 0) < 0 || dup2(output, 1) < 0 || dup2(output, 2) < 0) _exit(125);
  execvpe(s->argument[0], s->argument, s->variable);
  _exit(127);
}

static void start(struct chain *c) {
  if (ftruncate(c->output, 0) || lseek(c->output, 0, SEEK_SET)) die("empty the output");
  c->pid = vfork();
  if (c->pid < 0) die("fork");
  if (c->pid == 0) become(&c->step[c->at], c->output);
}

static void show(const struct job *j, struct chain *c, int status) {
  static char text[2048];
  if (shown++ >= SHOWN) return;
  ssize_t n = pread(c->output, text, sizeof text, 0);
  fprintf(stderr, "%s: step %d ended with status 0x%x: %.*s\n", j->label, c->at, status, n > 0 ? (int)n : 0, text);
}

static struct chain *find(const struct job *j, pid_t pid) {
  for (int i = 0; i < j->chains; i++)
    if (j->chain[i]->pid == pid) return j->chain[i];
  return NULL;
}

static double run(struct job *j) {
  int left = j->chains;
  double begin = now_ms();
  for (int i = 0; i < j->chains; i++) j->chain[i]->at = 0, start(j->chain[i]);
  while (left > 0) {
    int status;
    pid_t pid = waitpid(-1, &status, 0);
    if (pid < 0) die("wait");
    struct chain *c = find(j, pid);
    if (!c) continue;
    if (status) j->failed++, show(j, c, status);
    if (++c->at < c->steps) start(c);
    else left--;
  }
  return now_ms() - begin;
}

static void print(const struct job *j, int rounds) {
  printf("{\"label\":\"%s\",\"failed\":%d,\"ms\":[", j->label, j->failed);
  for (int r = 0; r < rounds; r++) printf("%s%.3f", r ? "," : "", j->ms[r]);
  printf("]}\n");
}

int main(int argc, char **argv) {
  if (argc != 3) return fprintf(stderr, "usage: interleave ROUNDS GAP_MS < JOBS\n"), 2;
  int rounds = atoi(argv[1]), gap_ms = atoi(argv[2]), jobs = read_jobs(rounds);
  for (int r = 0; r < rounds; r++)
    for (int i = 0; i < jobs; i++) {
      job[i].ms[r] = run(&job[i]);
      usleep((useconds_t)(gap_ms * 1000 + drand48() * PHASE_US));
    }
  for (int i = 0; i < jobs; i++) print(&job[i], rounds);
  return 0;
}
