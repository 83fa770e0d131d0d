/* libFuzzer's entry: the first byte chooses the target, the rest is its input. */
#include <signal.h>

#include "targets.h"

int LLVMFuzzerInitialize(int *argc, char ***argv) {
  (void)argc, (void)argv;
  signal(SIGPIPE, SIG_IGN);
  return 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  static void (*const targets[])(const uint8_t *, size_t) = {fuzz_request, fuzz_error, fuzz_stdin, fuzz_reply};
  if (size > 0) targets[data[0] % 4](data + 1, size - 1);
  return 0;
}
