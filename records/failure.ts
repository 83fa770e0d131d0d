/** A record could not be read from or written to the disk: full, read-only, broken. */
export class RecordError extends Error {
  override readonly name = "RecordError";
}

/** Another holder has kept a lock for as long as the caller could wait. */
export class LockTimeout extends Error {
  override readonly name = "LockTimeout";
}
