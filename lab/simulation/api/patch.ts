export class PatchFailed extends Error {}

export interface Operation {
  readonly op: "test" | "add" | "replace" | "remove";
  readonly path: string;
  readonly value?: unknown;
}

const WHY = "the server rejected our request due to an error in our request";

/** RFC 6902 as kube-apiserver applies it. @throws {PatchFailed} */
export function applyJsonPatch(object: object, patch: readonly Operation[]): object {
  const copy = structuredClone(object) as Record<string, unknown>;
  for (const operation of patch) apply(copy, operation);
  return copy;
}

function apply(object: Record<string, unknown>, { op, path, value }: Operation): void {
  const parts = path.split("/").slice(1).map(unescaped);
  const last = parts.pop()!;
  let at: Record<string, unknown> | undefined = object;
  for (const part of parts) at = at?.[part] as Record<string, unknown> | undefined;
  const isThere = at !== undefined && at !== null && Object.hasOwn(at, last);
  if (op === "test") {
    if (!isSame(isThere ? at![last] : undefined, value)) throw new PatchFailed(WHY);
  } else if (!at || typeof at !== "object" || (op !== "add" && !isThere)) throw new PatchFailed(WHY);
  else if (op === "remove") delete at[last];
  else at[last] = structuredClone(value);
}

const unescaped = (part: string): string => part.replaceAll("~1", "/").replaceAll("~0", "~");

/** A test for null passes on a missing key. */
const isSame = (a: unknown, b: unknown): boolean =>
  (a ?? null) === (b ?? null) || JSON.stringify(a) === JSON.stringify(b);

/** RFC 7386. */
export function applyMergePatch(object: unknown, patch: unknown): unknown {
  if (!isMap(patch)) return patch;
  const result: Record<string, unknown> = isMap(object) ? { ...object } : {};
  for (const [key, value] of Object.entries(patch)) {
    if (value === null) delete result[key];
    else result[key] = applyMergePatch(result[key], value);
  }
  return result;
}

const isMap = (value: unknown): value is Record<string, unknown> =>
  typeof value === "object" && value !== null && !Array.isArray(value);
