/** What is logged of an error: its message, which includes its causes. A stack only for a defect of the program itself. */
export function toFields(error: unknown): unknown {
  if (!(error instanceof Error)) return error;
  const { name: type, message, stack } = error;
  const { code, status } = error as { code?: unknown; status?: unknown };
  const isDefect = error instanceof TypeError || error instanceof RangeError || error instanceof ReferenceError;
  return { type, message, ...(code ? { code } : {}), ...(status ? { status } : {}), ...(isDefect && { stack }) };
}
