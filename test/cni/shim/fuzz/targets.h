/* One function a thing to fuzz. Each gets arbitrary bytes and aborts when a property does not hold. */
#ifndef FUZZ_TARGETS_H
#define FUZZ_TARGETS_H

#include <stddef.h>
#include <stdint.h>

void fuzz_request(const uint8_t *data, size_t size);
void fuzz_error(const uint8_t *data, size_t size);
void fuzz_stdin(const uint8_t *data, size_t size);
void fuzz_reply(const uint8_t *data, size_t size);

#endif
