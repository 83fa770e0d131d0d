/** A time of `performance.now()` for people and objects, by the wall clock as it is now. What decides something never asks that one: it jumps. */
export const dateOf = (ms: number): Date => new Date(Date.now() - (performance.now() - ms));
