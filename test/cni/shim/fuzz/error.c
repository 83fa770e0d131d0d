/* Texts of an error: whatever they are, it is one line of JSON, and unescaped it holds the text, or its beginning. */
#include "../../../../cni/shim/error.h"

#include <ctype.h>
#include <string.h>

#include "check.h"
#include "targets.h"

static const char HEAD[] = "{\"cniVersion\":\"1.1.0\",\"code\":11,\"msg\":\"";

static unsigned hex(const char *at) {
  unsigned value = 0;
  for (int i = 0; i < 4; i++) {
    CHECK(isxdigit((unsigned char)at[i]));
    value = value * 16 + (unsigned)(isdigit((unsigned char)at[i]) ? at[i] - '0' : tolower(at[i]) - 'a' + 10);
  }
  return value;
}

/* Reads a JSON string of bytes up to its quote. Returns what follows the quote. */
static const char *unescape(const char *at, char *to) {
  for (; *at != '"'; at++) {
    CHECK(*at >= ' ' && *at <= '~');
    if (*at != '\\') *to++ = *at;
    else if (*++at != 'u') CHECK(*at == '"' || *at == '\\'), *to++ = *at;
    else CHECK(hex(at + 1) < 256), *to++ = (char)hex(at + 1), at += 4;
  }
  *to = 0;
  return at + 1;
}

void fuzz_error(const uint8_t *data, size_t size) {
  char out[ERROR_LIMIT], text[ERROR_LIMIT], *want = malloc(size * 2 + 32), *what = malloc(size + 1);
  memcpy(what, data, size);
  what[size] = 0;
  size_t length = error_format(out, CNI_TRY_AGAIN_LATER, what, what, 111);
  CHECK(length == strlen(out) && length < sizeof out);
  CHECK(!strncmp(out, HEAD, sizeof HEAD - 1));
  CHECK(!strcmp(unescape(out + sizeof HEAD - 1, text), "}\n"));
  sprintf(want, "cannot %s: %s (ECONNREFUSED)", what, what);
  CHECK(!strncmp(want, text, strlen(text)));
  CHECK(strlen(text) == strlen(want) || strlen(text) > 500);
  free(want);
  free(what);
}
