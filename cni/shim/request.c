#include "request.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "limits.h"

static int is_cni(const char *variable) { return !strncmp(variable, "CNI_", 4) && strchr(variable, '='); }

/* A trace must not break a call: one that is too long is dropped. */
static int is_trace(const char *variable) {
  static const char *const names[] = {"TRACEPARENT=", "TRACESTATE=", "BAGGAGE="};
  for (int i = 0; i < 3; i++) {
    size_t n = strlen(names[i]);
    if (!strncmp(variable, names[i], n)) return strlen(variable + n) <= TRACE_LIMIT;
  }
  return 0;
}

static int is_sent(const char *variable) { return is_cni(variable) || is_trace(variable); }

static size_t environment_length(const char *name, char *const *environment) {
  size_t length = strlen(name) + 1;
  for (; *environment; environment++)
    if (is_sent(*environment)) length += strlen(*environment) + 1;
  return length;
}

static char *put_string(char *at, const char *s) {
  size_t n = strlen(s) + 1;
  memcpy(at, s, n);
  return at + n;
}

static char *put_u32(char *at, size_t value) {
  for (int i = 0; i < 4; i++) *at++ = (char)(value >> 8 * i & 0xff);
  return at;
}

struct buffer request_encode(const char *name, char *const *environment, size_t stdin_length, const char **why) {
  const struct buffer none = {NULL, 0};
  size_t length = environment_length(name, environment);
  *why = strlen(name) > NAME_LIMIT ? "the plugin's name is longer than 255 bytes" : "the CNI_ variables exceed 1 MiB";
  if (strlen(name) > NAME_LIMIT || length > ENVIRONMENT_LIMIT) return none;
  char *data = malloc(FRAME_HEADER + length), *at = data;
  *why = "out of memory";
  if (!data) return none;
  *at++ = FRAME_VERSION;
  at = put_u32(at, length + stdin_length);
  at = put_u32(at, length);
  at = put_string(at, name);
  for (; *environment; environment++)
    if (is_sent(*environment)) at = put_string(at, *environment);
  return (struct buffer){data, FRAME_HEADER + length};
}
