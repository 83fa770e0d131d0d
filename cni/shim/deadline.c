#include "deadline.h"

#include <limits.h>
#include <poll.h>
#include <time.h>

static int64_t now_ms(void) {
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

deadline_t deadline_in(int ms) { return now_ms() + ms; }

int deadline_left(deadline_t deadline) {
  int64_t left = deadline - now_ms();
  return left <= 0 ? 0 : left > INT_MAX ? INT_MAX : (int)left;
}

int deadline_pause(deadline_t deadline, int ms) {
  int left = deadline_left(deadline);
  if (left == 0) return 0;
  poll(NULL, 0, ms < left ? ms : left);
  return 1;
}
