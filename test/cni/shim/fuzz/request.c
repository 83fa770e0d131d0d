/* Name and environment: NUL-separated strings. What is encoded must decode, by the words of README.md, to just the
 * name, the CNI_ variables and those of a trace; and a limit must say no for a reason. */
#include "../../../../cni/shim/request.h"

#include <string.h>

#include "check.h"
#include "targets.h"

enum { STRINGS = 64 };

static uint32_t u32(const char *at) {
  uint32_t value = 0;
  for (int i = 3; i >= 0; i--) value = value << 8 | (unsigned char)at[i];
  return value;
}

/* Splits `text`, which ends with a NUL, into at most STRINGS strings; the list ends with NULL. */
static void split(char *text, size_t size, char *strings[STRINGS + 1]) {
  int n = 0;
  for (char *at = text; at < text + size && n < STRINGS; at += strlen(at) + 1) strings[n++] = at;
  strings[n] = NULL;
}

static const char *expect(const char *at, const char *string) {
  CHECK(!strcmp(at, string));
  return at + strlen(string) + 1;
}

static int is_for_agent(const char *string) {
  const char *value = strchr(string, '=');
  if (!value) return 0;
  if (!strncmp(string, "CNI_", 4)) return 1;
  size_t n = (size_t)(value - string);
  int is_trace = (n == 11 && !memcmp(string, "TRACEPARENT", n)) || (n == 10 && !memcmp(string, "TRACESTATE", n)) ||
                 (n == 7 && !memcmp(string, "BAGGAGE", n));
  return is_trace && strlen(value + 1) <= 8192;
}

static void check_frame(struct buffer frame, char **strings, size_t stdin_length) {
  CHECK(frame.data[0] == FRAME_VERSION);
  CHECK(u32(frame.data + 5) == frame.length - FRAME_HEADER);
  CHECK(u32(frame.data + 1) == frame.length - FRAME_HEADER + stdin_length);
  const char *at = expect(frame.data + FRAME_HEADER, strings[0]);
  for (strings++; *strings; strings++)
    if (is_for_agent(*strings)) at = expect(at, *strings);
  CHECK(at == frame.data + frame.length);
}

void fuzz_request(const uint8_t *data, size_t size) {
  char *text = malloc(size + 1), *strings[STRINGS + 1];
  memcpy(text, data, size);
  text[size] = 0;
  split(text, size + 1, strings);
  const char *why;
  size_t stdin_length = size * 37;
  struct buffer frame = request_encode(strings[0], strings + 1, stdin_length, &why);
  if (frame.length) check_frame(frame, strings, stdin_length);
  else CHECK(strlen(strings[0]) > 255 || size > 1 << 20);
  free(frame.data);
  free(text);
}
