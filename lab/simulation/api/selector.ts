import type { Obj } from "./objects.ts";

type Test = (object: Obj) => boolean;

/** labelSelector and fieldSelector of a request, as far as clients use them: `=`, `==` and `!=`, joined by commas. */
export function selector(namespace: string, query: URLSearchParams): Test {
  const labels = terms(query.get("labelSelector"), ({ metadata }, key) => metadata.labels?.[key]);
  const fields = terms(query.get("fieldSelector"), (object, key) => fieldOf(object, key.split(".")));
  return (object) =>
    (!namespace || object.metadata.namespace === namespace) && [...labels, ...fields].every((test) => test(object));
}

function terms(text: string | null, read: (object: Obj, key: string) => unknown): Test[] {
  const all = (text ?? "").split(",").filter(Boolean);
  return all.map((term) => {
    const [, key = "", operator, value = ""] = /^(.*?)(!=|==|=)(.*)$/.exec(term) ?? [];
    return (object) => (read(object, key) === value) === (operator !== "!=");
  });
}

/** A field that is missing is empty. */
const fieldOf = (object: unknown, parts: readonly string[]): unknown =>
  parts.reduce((at, part) => (at as Record<string, unknown> | undefined)?.[part], object) ?? "";
