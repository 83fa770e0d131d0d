/** An object as the API server keeps it. Never changed, only replaced. */
export interface Obj {
  readonly apiVersion?: string;
  readonly kind?: string;
  readonly metadata: Meta;
  // biome-ignore lint/suspicious/noExplicitAny: objects of any kind
  readonly [key: string]: any;
}

export interface Meta {
  readonly name: string;
  readonly namespace?: string;
  readonly uid: string;
  readonly resourceVersion: string;
  readonly creationTimestamp: string;
  readonly deletionTimestamp?: string;
  readonly labels?: Readonly<Record<string, string>>;
  readonly annotations?: Readonly<Record<string, string>>;
}

export interface Kind {
  readonly group: string;
  readonly version: string;
  readonly plural: string;
  readonly kind: string;
  readonly namespaced: boolean;
  /** Whether an update without resourceVersion is one. Not for custom resources. */
  readonly allowsUnconditionalUpdate?: boolean;
}

export interface Reply {
  readonly status: number;
  readonly headers?: Readonly<Record<string, string>>;
  readonly body: string;
}

/** `namespace/name`, or the name alone. */
export const keyOf = ({ metadata: { namespace, name } }: { metadata: Pick<Meta, "name" | "namespace"> }): string =>
  namespace ? `${namespace}/${name}` : name;

export const apiVersionOf = ({ group, version }: Kind): string => (group ? `${group}/${version}` : version);

const TEXTS = new WeakMap<Obj, [all?: string, metadata?: string]>();

/** As JSON; each object is written once. */
export function textOf(object: Obj, metadataOnly: boolean): string {
  const known = TEXTS.get(object) ?? [];
  TEXTS.set(object, known);
  const i = metadataOnly ? 1 : 0;
  known[i] ??= JSON.stringify(
    metadataOnly ? { kind: "PartialObjectMetadata", apiVersion: "meta.k8s.io/v1", metadata: object.metadata } : object,
  );
  return known[i];
}

export function isEqual(a: unknown, b: unknown): boolean {
  if (a === b) return true;
  if (typeof a !== "object" || typeof b !== "object" || !a || !b) return false;
  const [x, y] = [a as Record<string, unknown>, b as Record<string, unknown>];
  const keys = Object.keys(x);
  return keys.length === Object.keys(y).length && keys.every((key) => isEqual(x[key], y[key]));
}
