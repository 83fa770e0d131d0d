/* The request frame (README.md, "Wire format"). */
#ifndef RAILNET_REQUEST_H
#define RAILNET_REQUEST_H

#include <stddef.h>

#include "io.h"

enum { FRAME_VERSION = 1, FRAME_HEADER = 9 };

/* All of a request but its stdin: header, name, and of `environment` the CNI_* variables and those of a trace, in which
 * libcni names its caller's span; others stay here. Memory of its own. Length 0 when name or variables are too long, or memory is out: `*why` says which. */
struct buffer request_encode(const char *name, char *const *environment, size_t stdin_length, const char **why);

#endif
