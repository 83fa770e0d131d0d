/** CNI error codes, SPEC.md section "Error"; 8 and 999 are libcni's, 100 and above are ours. */
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
  /** libcni's code for a result that cannot be expressed in the caller's version. */
  INTERNAL: 999,
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

/** Errors of lower floors, which know nothing of the protocol (records/failure.ts), by their names. */
const CODES_BELOW: Readonly<Record<string, number>> = {
  RecordError: CODE.IO_FAILURE,
  LockTimeout: CODE.TRY_AGAIN_LATER,
};

/**
 * The one place where anything thrown becomes a protocol error. Never throws. A failed undo is reported in the details,
 * after what made it necessary.
 */
export function toCniError(thrown: unknown): CniError {
  const [first, ...undo] = inOrder(thrown);
  const error = first instanceof CniError ? first : new CniError(codeOf(first), messageOf(first), { cause: first });
  if (undo.length === 0) return error;
  const failed = undo.map((one) => `undo failed too: ${messageOf(one)}`);
  return new CniError(error.code, error.message, {
    details: [error.details, ...failed].filter(Boolean).join("; "),
    cause: thrown,
  });
}

/** Everything that was thrown, earliest first: a disposed stack wraps its own errors before it sees its body's. */
function inOrder(thrown: unknown): unknown[] {
  const { name, suppressed, error } = Object(thrown) as SuppressedError; // Node.js 20 has no such class; `using` creates one
  return name === "SuppressedError" ? [...inOrder(suppressed), ...inOrder(error)] : [thrown];
}

const codeOf = (thrown: unknown): number => (thrown instanceof Error && CODES_BELOW[thrown.name]) || CODE.FAILED;

function messageOf(thrown: unknown): string {
  if (thrown instanceof Error) return thrown.message || thrown.name;
  try {
    return String(thrown);
  } catch {
    return "something without a text was thrown"; // an object without a working toString()
  }
}
