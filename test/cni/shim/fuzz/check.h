/* What a fuzz target says when the code under test is wrong: libFuzzer keeps the input. */
#ifndef FUZZ_CHECK_H
#define FUZZ_CHECK_H

#include <stdio.h>
#include <stdlib.h>

#define CHECK(true_) ((true_) ? (void)0 : (fprintf(stderr, "%s:%d: %s\n", __FILE__, __LINE__, #true_), abort()))

#endif
