#include "error.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "io.h"

/* Text that is truncated, never overrun. The last byte stays free for a NUL. */
struct text {
  char *at;
  size_t room;
};

static void add(struct text *t, const char *s) {
  size_t n = strlen(s);
  if (n > t->room) n = t->room;
  memcpy(t->at, s, n);
  t->at += n;
  t->room -= n;
}

static void add_number(struct text *t, unsigned value) {
  char digits[11] = "", *at = digits + sizeof digits - 1;
  do *--at = (char)('0' + value % 10);
  while (value /= 10);
  add(t, at);
}

/* Bytes above ASCII become the code points of Latin-1: perhaps not what was meant, but always valid JSON. */
static void add_escaped(struct text *t, const char *s) {
  static const char hex[] = "0123456789abcdef";
  for (; *s; s++) {
    unsigned char c = (unsigned char)*s;
    char one[] = {(char)c, 0}, escape[] = {'\\', (char)c, 0}, code[] = {'\\', 'u', '0', '0', hex[c >> 4], hex[c & 15], 0};
    if (c < ' ' || c > '~') add(t, code);
    else add(t, c == '"' || c == '\\' ? escape : one);
  }
}

static void compose(struct text *t, const char *what, const char *reason, int error) {
  const char *name = error ? strerrorname_np(error) : NULL;
  add(t, "cannot ");
  add(t, what);
  add(t, ": ");
  add(t, reason);
  if (!name) return;
  add(t, " (");
  add(t, name);
  add(t, ")");
}

size_t error_format(char out[ERROR_LIMIT], enum cni_code code, const char *what, const char *reason, int error) {
  char message[ERROR_LIMIT / 8] = "";
  compose(&(struct text){message, sizeof message - 1}, what, reason, error);
  struct text t = {out, ERROR_LIMIT - 1};
  add(&t, "{\"cniVersion\":\"1.1.0\",\"code\":");
  add_number(&t, code);
  add(&t, ",\"msg\":\"");
  add_escaped(&t, message);
  add(&t, "\"}\n");
  *t.at = 0;
  return (size_t)(t.at - out);
}

int error_print(enum cni_code code, const char *what, const char *reason, int error) {
  char out[ERROR_LIMIT];
  size_t length = error_format(out, code, what, reason, error);
  io_write_all(STDOUT_FILENO, out, length, deadline_in(1000));
  return 1;
}
