/** Converts a time of `performance.now()` to wall-clock time, for display and for objects. Decisions never use the wall clock: it jumps. */
export const dateOf = (ms: number): Date => new Date(Date.now() - (performance.now() - ms));
