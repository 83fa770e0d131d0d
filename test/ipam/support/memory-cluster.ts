// An API server in memory, as far as stores and background work ask it: versions, conflicts, selectors of labels, watches,
// and what only operators do to it. What it does not know it refuses, so that no test rests on it.
import {
  ApiError,
  type Cluster,
  type JsonPatch,
  type KubeObject,
  type Resource,
  type Selection,
  type WatchEvent,
} from "../../../kubernetes/cluster.ts";

// biome-ignore lint/suspicious/noExplicitAny: objects of any kind
type Json = any;
type Objects = Map<string, Json>;

export class MemoryCluster implements Cluster {
  readonly namespace = "kube-system";
  /** `VERB plural name`, in order. */
  readonly requests: string[] = [];
  /** Called before a request is done; what it throws is the answer. */
  before: (request: string) => void | Promise<void> = () => {};
  #objects = new Map<string, Objects>();
  #version = 100;
  #uids = 0;
  /** Watches from before are refused. */
  #compacted = 0;
  readonly #watchers = new Set<{
    plural: string;
    from: Selection;
    push: (event: WatchEvent<Json> | undefined) => void;
  }>();

  async get<T extends KubeObject>({ plural }: Resource, name: string): Promise<T | undefined> {
    await this.#asked("GET", plural, name);
    return structuredClone(this.#of(plural).get(name));
  }

  async list<T extends KubeObject>(
    { plural }: Resource,
    {
      keep = (object: KubeObject) => object as T,
      ...selection
    }: Parameters<Cluster["list"]>[1] & { keep?: (object: KubeObject) => T } = {},
  ): Promise<{ items: readonly T[]; resourceVersion: string }> {
    await this.#asked("LIST", plural, selection.labelSelector ?? "");
    const items = [...this.#of(plural).values()].filter((object) => isSelected(object, selection));
    return { items: items.map((object) => keep(structuredClone(object)) as T), resourceVersion: String(this.#version) };
  }

  async count({ plural }: Resource): Promise<number> {
    await this.#asked("LIST", plural, "");
    return this.#of(plural).size;
  }

  async create<T extends KubeObject>(
    { plural }: Resource,
    object: T,
    { isDryRun = false }: { readonly isDryRun?: boolean } = {},
  ): Promise<T> {
    const { name } = object.metadata;
    await this.#asked("POST", plural, name);
    if (this.#of(plural).has(name)) throw refused(409, "AlreadyExists");
    if (isDryRun) return structuredClone(object);
    const metadata = { namespace: this.namespace, ...object.metadata, uid: `uid-${++this.#uids}` };
    return this.#write(plural, { ...object, metadata }, "ADDED");
  }

  async patch<T extends KubeObject>({ plural }: Resource, name: string, patch: JsonPatch): Promise<T> {
    await this.#asked("PATCH", plural, name);
    const object = structuredClone(this.#there(plural, name));
    for (const operation of patch) apply(object, operation);
    return this.#write(plural, object, "MODIFIED");
  }

  async mergePatch<T extends KubeObject>({ plural }: Resource, name: string, patch: Json): Promise<T> {
    await this.#asked("PATCH", plural, name);
    const object = this.#there(plural, name);
    const version = patch.metadata?.resourceVersion;
    if (version !== undefined && version !== object.metadata.resourceVersion) throw refused(409, "Conflict");
    return this.#write(plural, merged(object, patch), "MODIFIED");
  }

  async replace<T extends KubeObject>({ plural }: Resource, object: T): Promise<T> {
    await this.#asked("PUT", plural, object.metadata.name);
    const there = this.#there(plural, object.metadata.name);
    const { resourceVersion } = object.metadata;
    if (resourceVersion && resourceVersion !== there.metadata.resourceVersion) throw refused(409, "Conflict");
    return this.#write(plural, { ...object, metadata: { ...object.metadata, uid: there.metadata.uid } }, "MODIFIED");
  }

  async delete({ plural }: Resource, name: string, asFound: { uid?: string; resourceVersion?: string } = {}) {
    await this.#asked("DELETE", plural, name);
    const there = this.#of(plural).get(name);
    if (!there) return false;
    for (const [key, value] of Object.entries(asFound))
      if (value && there.metadata[key] !== value) throw refused(409, "Conflict");
    this.#of(plural).delete(name);
    this.#version++;
    this.#tell(plural, "DELETED", {
      ...there,
      metadata: { ...there.metadata, resourceVersion: String(this.#version) },
    });
    return true;
  }

  async *watch<T extends KubeObject>({ plural }: Resource, from: Selection & { resourceVersion: string }) {
    await this.#asked("WATCH", plural, from.labelSelector ?? from.fieldSelector ?? "");
    if (Number(from.resourceVersion) < this.#compacted) throw refused(410, "Expired");
    const events: (WatchEvent<T> | undefined)[] = [];
    let wake = () => {};
    const watcher = {
      plural,
      from,
      push: (event: WatchEvent<Json> | undefined) => {
        events.push(event);
        wake();
      },
    };
    this.#watchers.add(watcher);
    from.signal?.addEventListener("abort", () => watcher.push(undefined));
    try {
      for (;;) {
        while (events.length === 0) await new Promise<void>((resolve) => (wake = resolve));
        const event = events.shift();
        if (!event) return;
        yield event;
      }
    } finally {
      this.#watchers.delete(watcher);
    }
  }

  // --- what operators do, without a request ---

  names(plural: string): string[] {
    return [...this.#of(plural).keys()].sort();
  }

  read(plural: string, name: string): Json {
    return structuredClone(this.#of(plural).get(name));
  }

  /** Of all objects, as etcdctl makes it. */
  backup(): { version: number; objects: Map<string, Objects> } {
    return { version: this.#version, objects: structuredClone(this.#objects) };
  }

  /** The API server starts again on a backup: watches end. */
  restore({ version, objects }: ReturnType<MemoryCluster["backup"]>, bump = 0): void {
    this.#objects = structuredClone(objects);
    this.#version = version + bump;
    if (bump > 0) this.#compacted = this.#version;
    for (const { push } of [...this.#watchers]) push(undefined);
  }

  /** A definition is there, and says so. */
  define(plural: string): void {
    const name = `${plural}.whereabouts.cni.cncf.io`;
    this.#write("customresourcedefinitions", { metadata: { name, uid: `uid-${++this.#uids}` } }, "ADDED");
  }

  /** A definition is deleted, with all that is of it, and made again. */
  recreate(plural: string): void {
    for (const object of this.#of(plural).values()) this.#tell(plural, "DELETED", object);
    this.#of(plural).clear();
    this.#version++;
    const definition = this.#of("customresourcedefinitions").get(`${plural}.whereabouts.cni.cncf.io`);
    if (!definition) return;
    this.#tell("customresourcedefinitions", "DELETED", definition);
    this.define(plural);
  }

  #of(plural: string): Objects {
    const known = this.#objects.get(plural) ?? new Map();
    this.#objects.set(plural, known);
    return known;
  }

  #there(plural: string, name: string): Json {
    const there = this.#of(plural).get(name);
    if (!there) throw refused(404, "NotFound");
    return there;
  }

  async #asked(verb: string, plural: string, name: string): Promise<void> {
    const request = `${verb} ${plural} ${name}`;
    this.requests.push(request);
    await this.before(request);
  }

  #write(plural: string, object: Json, type: "ADDED" | "MODIFIED"): Json {
    const metadata = { ...object.metadata, resourceVersion: String(++this.#version) };
    const written = { ...structuredClone(object), metadata };
    this.#of(plural).set(metadata.name, written);
    this.#tell(plural, type, written);
    return structuredClone(written);
  }

  #tell(plural: string, type: WatchEvent<Json>["type"], object: Json): void {
    for (const one of [...this.#watchers])
      if (one.plural === plural && isSelected(object, one.from)) one.push({ type, object: structuredClone(object) });
  }
}

const refused = (status: number, reason: string): ApiError => new ApiError(`refused: ${reason}`, { status, reason });

/** `a=b,c=d` of labels; `metadata.name=x,status.phase!=y` of fields. */
function isSelected(object: Json, { labelSelector = "", fieldSelector = "" }: Selection): boolean {
  const holds = (text: string, textAt: (key: string) => string) =>
    text
      .split(",")
      .filter(Boolean)
      .every((term) => {
        const [, key = "", not, value] = /^(.*?)(!?)=(.*)$/.exec(term) ?? [];
        return (textAt(key) === value) !== (not === "!");
      });
  return (
    holds(labelSelector, (key) => object.metadata.labels?.[key]) &&
    holds(fieldSelector, (key) => key.split(".").reduce((at, part) => at?.[part], object))
  );
}

/** RFC 7386. */
function merged(object: Json, patch: Json): Json {
  if (typeof patch !== "object" || patch === null || Array.isArray(patch)) return patch;
  const result = { ...(typeof object === "object" && object !== null ? object : {}) };
  for (const [key, value] of Object.entries(patch))
    if (value === null) delete result[key];
    else result[key] = merged(result[key], value);
  return result;
}

/** RFC 6902, with the server's `test` of null: it passes on a missing key. */
function apply(object: Json, operation: JsonPatch[number]): void {
  const keys = operation.path
    .slice(1)
    .split("/")
    .map((key) => key.replaceAll("~1", "/").replaceAll("~0", "~"));
  const last = keys.pop()!;
  let at = object;
  for (const key of keys) at = at?.[key];
  if (at === undefined || at === null) throw refused(422, "Invalid");
  if (operation.op === "test") {
    if (JSON.stringify(at[last] ?? null) !== JSON.stringify(operation.value)) throw refused(422, "Invalid");
  } else if (operation.op === "remove") {
    if (!(last in at)) throw refused(422, "Invalid");
    delete at[last];
  } else at[last] = structuredClone(operation.value);
}
