/* The node agent at the other end of its socket. */
#ifndef RAILNET_AGENT_H
#define RAILNET_AGENT_H

#include <stdint.h>

#include "io.h"

enum reach {
  AGENT_REACHED,
  AGENT_ABSENT,  /* no socket there, or none that we may use */
  AGENT_REFUSES, /* a socket, but nobody listens */
  AGENT_BUSY,    /* it listens, and did not accept before the deadline */
  AGENT_FAILED,  /* we lack descriptors or memory: errno */
};

/* Connects once. REACHED sets `*fd`. */
enum reach agent_connect(deadline_t deadline, int *fd);

/* Connects; goes on for RAILNET_REFUSED_MS while the agent refuses. */
enum reach agent_reach(deadline_t deadline, int *fd);

struct reply {
  uint32_t exit;
  struct buffer out; /* memory of its own */
};

/* Reads the header of a reply. False for an impossible exit status or length. */
int reply_decode(const unsigned char header[8], struct reply *reply);

/* Sends head and body as one request, reads the reply. IO_DONE: whole. IO_END: the agent went, or sent what is no reply.
 * IO_RESET: it closed before it had read the whole request, so it has begun nothing: an agent that stops while we are in its
 * backlog.
 * IO_PEER_GONE: nobody reads `watched` any more. */
enum io agent_exchange(int fd, struct buffer head, struct buffer body, deadline_t deadline, int watched,
                       struct reply *reply);

#endif
