/* CNI errors (SPEC.md, "Error"): one JSON object on standard output, exit status 1. */
#ifndef RAILNET_ERROR_H
#define RAILNET_ERROR_H

#include <stddef.h>

enum cni_code {
  CNI_INVALID_ENVIRONMENT = 4,
  CNI_IO_FAILURE = 5,
  CNI_DECODING_FAILURE = 6,
  CNI_TRY_AGAIN_LATER = 11,
  CNI_NOT_AVAILABLE = 50,
};

enum { ERROR_LIMIT = 4096 };

/* Writes the object for "cannot <what>: <reason> (<CODE>)" to `out` and returns its length. `error` is an errno, 0 for
 * none. Texts may contain any bytes: anything but printable ASCII is escaped, what is too long is truncated. */
size_t error_format(char out[ERROR_LIMIT], enum cni_code code, const char *what, const char *reason, int error);

/* Prints it. Returns the exit status. */
int error_print(enum cni_code code, const char *what, const char *reason, int error);

#endif
