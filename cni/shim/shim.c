/* What runtimes execute: passes a CNI call to the node agent and its reply back, or becomes the full binary. The rules
 * are those of the table in README.md. */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "agent.h"
#include "error.h"
#include "full.h"
#include "host-exec.h"
#include "limits.h"
#include "probe.h"
#include "request.h"

extern char **environ;

struct call {
  char **arguments; /* [0] is the plugin's name */
  int is_add;
  deadline_t deadline;
  struct buffer head, body; /* the request: all but stdin, stdin */
};

/* What is opened next must not become descriptor 0, 1 or 2: the reply would go into the socket. */
static void fill_standard_descriptors(void) {
  for (int fd = 0; fd <= 2; fd++)
    if (fcntl(fd, F_GETFD) < 0 && memfd_create("closed", 0) != fd) _exit(1);
}

static char *base_name(char *path) {
  char *slash = strrchr(path, '/');
  return slash ? slash + 1 : path;
}

static int read_stdin(struct call *call) {
  static const char what[] = "read the network configuration from stdin";
  switch (io_read_to_end(STDIN_FILENO, STDIN_LIMIT, call->deadline, &call->body)) {
    case IO_DONE:
      return 0;
    case IO_TOO_LONG:
      return error_print(CNI_DECODING_FAILURE, what, "it is longer than 16 MiB", 0);
    case IO_LATE:
      return error_print(CNI_TRY_AGAIN_LATER, what, "the caller does not close it", ETIMEDOUT);
    default:
      return error_print(CNI_IO_FAILURE, what, "refused", errno);
  }
}

static int become_full(const struct call *call) { return full_become(call->arguments, environ, &call->body); }

static int too_late(void) {
  return error_print(CNI_TRY_AGAIN_LATER, "wait for the agent", "no reply within the time limit", ETIMEDOUT);
}

/* 0: the lock is held. Eight full binaries at once livelock in the cgroup of a thick Multus. */
static int queue_for_full(const struct call *call, int *lock) {
  *lock = full_lock(call->deadline);
  if (*lock >= 0) return 0;
  return error_print(CNI_TRY_AGAIN_LATER, "run without the agent", "cannot get " RAILNET_EXEC_LOCK, errno);
}

static int print_reply(const struct call *call, const struct reply *reply) {
  enum io io = io_write_all(STDOUT_FILENO, reply->out.data, reply->out.length, call->deadline);
  return io == IO_DONE || reply->exit ? (int)reply->exit : 1;
}

static int without_reply(const struct call *call) {
  static const char gone[] = "the agent went away without a reply; DEL, or the next agent, undoes what it did";
  int lock;
  if (call->is_add) return error_print(CNI_TRY_AGAIN_LATER, "finish ADD", gone, 0);
  if (queue_for_full(call, &lock)) return 1;
  return become_full(call);
}

/* -1: the agent has not begun, and another one may be asked. */
static int ask(const struct call *call, int fd) {
  struct reply reply;
  int watched = call->is_add ? STDOUT_FILENO : -1;
  switch (agent_exchange(fd, call->head, call->body, call->deadline, watched, &reply)) {
    case IO_DONE:
      return print_reply(call, &reply);
    case IO_END:
      return without_reply(call);
    case IO_RESET:
      close(fd);
      return -1;
    case IO_PEER_GONE:
      return 1; /* the agent sees the connection close, and undoes */
    case IO_FAILED:
      return error_print(CNI_TRY_AGAIN_LATER, "talk to the agent", "the connection failed", errno);
    default:
      return too_late();
  }
}

static int perform(const struct call *call) {
  int fd, lock = -1, status = -1;
  enum reach reach = AGENT_REFUSES;
  for (int i = 0; i < RESET_TRIES && status < 0; i++) {
    reach = agent_reach(call->deadline, &fd);
    if (reach != AGENT_REACHED) break;
    status = ask(call, fd);
  }
  if (status >= 0) return status;
  if (reach == AGENT_REFUSES) {
    if (queue_for_full(call, &lock)) return 1;
    /* It may have come back while we were in the queue. */
    reach = agent_connect(call->deadline, &fd);
    if (reach == AGENT_REACHED) {
      close(lock);
      status = ask(call, fd);
    }
  }
  if (status >= 0) return status;
  switch (reach) {
    case AGENT_REACHED:
      return without_reply(call);
    case AGENT_BUSY:
      return too_late();
    case AGENT_FAILED:
      return error_print(CNI_TRY_AGAIN_LATER, "reach the agent", "no socket to be had", errno);
    default:
      return become_full(call);
  }
}

int main(int argc, char **argv) {
  (void)argc;
  fill_standard_descriptors();
  if (!argv[0] || !*(argv[0] = base_name(argv[0])))
    return error_print(CNI_INVALID_ENVIRONMENT, "tell which plugin is meant", "argv[0] is empty", 0);
  if (!strcmp(argv[0], "railnet-host-exec")) return host_exec(argv, environ);
  signal(SIGPIPE, SIG_IGN);
  if (!strcmp(argv[0], "railnet-probe")) return probe(argv);
  const char *verb = getenv("CNI_COMMAND"), *why;
  if (!verb || !*verb) return full_become(argv, environ, NULL);
  int is_add = !strcmp(verb, "ADD");
  struct call call = {.arguments = argv, .is_add = is_add};
  call.deadline = deadline_in(is_add ? RAILNET_ADD_MS : RAILNET_OTHER_MS);
  if (read_stdin(&call)) return 1;
  call.head = request_encode(argv[0], environ, call.body.length, &why);
  if (!call.head.length) return error_print(CNI_INVALID_ENVIRONMENT, "pass the call on", why, 0);
  return perform(&call);
}
