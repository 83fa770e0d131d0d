/* Points in time, in milliseconds of CLOCK_MONOTONIC. */
#ifndef RAILNET_DEADLINE_H
#define RAILNET_DEADLINE_H

#include <stdint.h>

typedef int64_t deadline_t;

deadline_t deadline_in(int ms);
/* Milliseconds left, as poll(2) takes them: never negative. */
int deadline_left(deadline_t deadline);
/* Sleeps `ms`, but not past the deadline. False when it has passed. */
int deadline_pause(deadline_t deadline, int ms);

#endif
