/** CNI error codes, SPEC.md section "Error"; 8 is libcni's, 100 and above are ours. */
export const CODE = {
  INCOMPATIBLE_VERSION: 1,
  UNSUPPORTED_FIELD: 2,
  UNKNOWN_CONTAINER: 3,
  INVALID_ENVIRONMENT: 4,
  IO_FAILURE: 5,
  DECODING_FAILURE: 6,
  INVALID_CONFIG: 7,
  INVALID_NETNS: 8,
  TRY_AGAIN_LATER: 11,
  PLUGIN_NOT_AVAILABLE: 50,
  LIMITED_CONNECTIVITY: 51,
  FAILED: 100,
} as const;

/** What a runtime is told: code and message, printed as JSON on stdout. */
export class CniError extends Error {
  override readonly name = "CniError";
  readonly code: number;
  readonly details?: string;

  constructor(code: number, message: string, { details, cause }: { details?: string; cause?: unknown } = {}) {
    super(message, cause === undefined ? {} : { cause });
    this.code = code;
    if (details !== undefined) this.details = details;
  }
}

/** The one place where anything thrown becomes a protocol error; a failed undo yields to what made it necessary. */
export function toCniError(thrown: unknown): CniError {
  let error = thrown;
  while (error instanceof SuppressedError) error = error.suppressed;
  if (error instanceof CniError) return error;
  return new CniError(CODE.FAILED, error instanceof Error ? error.message : String(error), { cause: error });
}
