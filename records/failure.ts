/** The disk does not give or take a record: full, read-only, broken. */
export class RecordError extends Error {
  override readonly name = "RecordError";
}

/** Somebody else has held a lock for as long as its caller could wait. */
export class LockTimeout extends Error {
  override readonly name = "LockTimeout";
}
