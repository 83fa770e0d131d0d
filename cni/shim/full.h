/* The full binary: what runs when there is no agent to ask. */
#ifndef RAILNET_FULL_H
#define RAILNET_FULL_H

#include "io.h"

/* Waits for the node-wide lock under which full binaries run one at a time. It is inherited by what is executed and
 * ends with it. Returns the descriptor, or -1 and errno: EAGAIN at the deadline. */
int full_lock(deadline_t deadline);

/* Becomes the full binary under the name of `arguments[0]`, with `input` as its stdin (NULL: leave stdin alone).
 * Returns an exit status, after the error has been printed, only if that is not possible. */
int full_become(char **arguments, char **environment, const struct buffer *input);

#endif
