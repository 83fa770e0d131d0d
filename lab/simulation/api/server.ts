import type { Random } from "../core/random.ts";
import { simulation } from "../core/simulation.ts";
import { type Change, Etcd } from "./etcd.ts";
import { apiVersionOf, isEqual, type Kind, keyOf, type Meta, type Obj, type Reply, textOf } from "./objects.ts";
import { applyJsonPatch, applyMergePatch, type Operation, PatchFailed } from "./patch.ts";
import {
  alreadyExists,
  answer,
  conflict,
  deleted,
  NOT_SERVED,
  notFound,
  Refused,
  status,
  unpatchable,
  versionMissing,
} from "./replies.ts";
import { selector } from "./selector.ts";
import { Watches } from "./watches.ts";

type Headers = Readonly<Record<string, string>>;
type Given = Omit<Partial<Obj>, "metadata"> & { readonly metadata: Partial<Meta> & { readonly name: string } };

const DEFINITIONS = "customresourcedefinitions";

/** Everybody may do everything: who may what is for the tests with a real server. */
const ACCESS_REVIEWS = "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews";

interface Target {
  readonly kind: Kind;
  readonly namespace: string;
  readonly name: string;
}

/**
 * kube-apiserver and etcd as one object: requests to answers, and watches. No time and no faults: those are the network's.
 * That it speaks as the real one does is what the contract suite says (test/simulation/contract.ts).
 */
export class ApiServer {
  readonly etcd: Etcd;
  readonly watches: Watches;
  /** Told of each change, before any watch. */
  onChange: (change: Change) => void = () => {};
  readonly #kinds: readonly Kind[];
  readonly #served: Set<string>;
  readonly #random: Random;

  constructor(kinds: readonly Kind[], random: Random, rev = 1000) {
    this.#kinds = kinds;
    this.#served = new Set(kinds.map(({ plural }) => plural));
    this.#random = random;
    this.etcd = new Etcd(this.#served, rev, (change) => {
      this.onChange(change);
      this.watches.tell(change);
    });
    this.watches = new Watches(this.etcd);
  }

  /** Of what is served by a definition, its object: it is made with the first `kubectl apply`. */
  #define(plural: string): void {
    const { group } = this.#kinds.find((one) => one.plural === plural)!;
    const name = `${plural}.${group}`;
    if (!this.etcd.get(DEFINITIONS, name)) this.put(DEFINITIONS, { metadata: { name } });
  }

  /** `kubectl delete crd`: all objects go, and nobody serves the kind any more. */
  unserve(plural: string): void {
    for (const object of [...this.etcd.all(plural).values()]) this.etcd.remove(plural, object);
    this.#served.delete(plural);
    const { group } = this.#kinds.find((one) => one.plural === plural)!;
    this.remove(DEFINITIONS, `${plural}.${group}`);
    this.watches.end(plural);
  }

  /** `kubectl apply` of the definition. */
  serve(plural: string): void {
    this.#served.add(plural);
    this.#define(plural);
  }

  /** What the world does, without a request: makes an object, or replaces it. */
  put(plural: string, given: Given): Obj {
    const kind = this.#kinds.find((one) => one.plural === plural)!;
    const prev = this.etcd.get(plural, keyOf(given as Obj));
    const uid = prev?.metadata.uid ?? given.metadata.uid ?? this.#random.uuid();
    const creationTimestamp = prev?.metadata.creationTimestamp ?? stamp();
    const metadata = { ...given.metadata, uid, creationTimestamp, resourceVersion: "" };
    return this.etcd.write(plural, { apiVersion: apiVersionOf(kind), kind: kind.kind, ...given, metadata }, prev);
  }

  /** As put(). @returns whether it was there. */
  remove(plural: string, key: string): boolean {
    const prev = this.etcd.get(plural, key);
    if (prev) this.etcd.remove(plural, prev);
    return prev !== undefined;
  }

  handle(method: string, path: string, headers: Headers, body: string | undefined): Reply {
    const url = new URL(path, "http://server");
    if (url.pathname === ACCESS_REVIEWS)
      return { status: 201, body: JSON.stringify({ ...JSON.parse(body!), status: { allowed: true } }) };
    const target = this.target(url.pathname);
    if (!target) return NOT_SERVED;
    const metadataOnly = isMetadataOnly(headers);
    try {
      if (method === "GET" && !target.name) return this.#list(target, url.searchParams, metadataOnly);
      if (method === "DELETE") return this.#delete(target, body ? JSON.parse(body) : {});
      const [code, object] = this.#one(method, target, headers["Content-Type"] ?? "", body);
      return answer(code, object, metadataOnly);
    } catch (error) {
      if (error instanceof Refused) return error.reply;
      throw error;
    }
  }

  #one(method: string, target: Target, type: string, body: string | undefined): [number, Obj] {
    if (method === "GET") return [200, this.#existing(target)];
    if (method === "POST") return [201, this.#create(target, JSON.parse(body!))];
    if (method === "PUT") return [200, this.#replace(target, JSON.parse(body!))];
    if (method === "PATCH") return [200, this.#patch(target, type, JSON.parse(body!))];
    throw new Refused(status(405, "MethodNotAllowed", `${method} is not supported`, target.kind, target.name));
  }

  /** Undefined: nobody serves that. */
  target(path: string): Target | undefined {
    const [, group = "", version, rest = ""] = /^\/(?:api|apis\/([^/]+))\/([^/]+)\/(.*)$/.exec(path) ?? [];
    const parts = rest.split("/").map(decodeURIComponent);
    const namespace = parts[0] === "namespaces" && parts.length > 2 ? parts.splice(0, 2)[1]! : "";
    const [plural, name = ""] = parts;
    const kind = this.#kinds.find((one) => one.group === group && one.version === version && one.plural === plural);
    return kind && this.#served.has(kind.plural) ? { kind, namespace, name } : undefined;
  }

  #existing({ kind, namespace, name }: Target): Obj {
    const found = this.etcd.get(kind.plural, namespace ? `${namespace}/${name}` : name);
    if (!found) throw notFound(kind, name);
    return found;
  }

  /** @param query `cacheRev`, which is the network's: from a cache that has seen no more than that. */
  #list({ kind, namespace }: Target, query: URLSearchParams, metadataOnly: boolean): Reply {
    const rev = Number(query.get("cacheRev") ?? this.etcd.rev);
    const objects = [...this.etcd.allAt(kind.plural, rev).values()].filter(selector(namespace, query));
    const items = objects.sort((a, b) => (keyOf(a) < keyOf(b) ? -1 : 1)).map((one) => textOf(one, metadataOnly));
    const [name, api] = metadataOnly ? ["PartialObjectMetadata", "meta.k8s.io/v1"] : [kind.kind, apiVersionOf(kind)];
    const head = `"kind":"${name}List","apiVersion":"${api}","metadata":{"resourceVersion":"${rev}"}`;
    return { status: 200, body: `{${head},"items":[${items.join(",")}]}` };
  }

  #create({ kind, namespace }: Target, given: Obj): Obj {
    const { resourceVersion: _, ...meta } = { ...given.metadata, ...(kind.namespaced && { namespace }) };
    if (this.etcd.get(kind.plural, keyOf({ metadata: meta }))) throw alreadyExists(kind, meta.name);
    const metadata = { ...meta, uid: this.#random.uuid(), creationTimestamp: stamp(), resourceVersion: "" };
    return this.etcd.write(
      kind.plural,
      { ...given, apiVersion: apiVersionOf(kind), kind: kind.kind, metadata },
      undefined,
    );
  }

  #replace(target: Target, given: Obj): Obj {
    const { kind, name } = target;
    const prev = this.#existing(target);
    const { resourceVersion, uid } = given.metadata;
    if (!resourceVersion && !kind.allowsUnconditionalUpdate) throw versionMissing(kind, name);
    if (resourceVersion && resourceVersion !== prev.metadata.resourceVersion) throw conflict(kind, name);
    if (uid && uid !== prev.metadata.uid) throw conflict(kind, name);
    return this.#update(kind, given, prev);
  }

  #patch(target: Target, type: string, patch: object): Obj {
    const prev = this.#existing(target);
    const after = patched(prev, type, patch);
    const { resourceVersion } = after.metadata;
    if (resourceVersion && resourceVersion !== prev.metadata.resourceVersion) throw conflict(target.kind, target.name);
    return this.#update(target.kind, after, prev);
  }

  /** What changes nothing is not written. */
  #update(kind: Kind, given: Obj, prev: Obj): Obj {
    const { uid, creationTimestamp, namespace, deletionTimestamp, resourceVersion } = prev.metadata;
    const kept = {
      uid,
      creationTimestamp,
      resourceVersion,
      ...(namespace && { namespace }),
      ...(deletionTimestamp && { deletionTimestamp }),
    };
    const { managedFields: _, ...metadata } = { ...given.metadata, ...kept } as Meta & { managedFields?: unknown };
    const after = { ...given, apiVersion: apiVersionOf(kind), kind: kind.kind, metadata };
    return isEqual(after, prev) ? prev : this.etcd.write(kind.plural, after, prev);
  }

  #delete(target: Target, options: { preconditions?: { uid?: string; resourceVersion?: string } }): Reply {
    const { kind, name } = target;
    const prev = this.#existing(target);
    const { uid, resourceVersion } = options.preconditions ?? {};
    if (uid && uid !== prev.metadata.uid) throw conflict(kind, name);
    if (resourceVersion && resourceVersion !== prev.metadata.resourceVersion) throw conflict(kind, name);
    this.etcd.remove(kind.plural, prev);
    return deleted(kind, prev);
  }
}

export const isMetadataOnly = (headers: Headers): boolean =>
  headers["Accept"]?.includes("as=PartialObjectMetadata") ?? false;

const stamp = (): string => new Date(simulation().wallMs).toISOString().replace(/\.\d+Z$/, "Z");

function patched(prev: Obj, type: string, patch: object): Obj {
  if (type !== "application/json-patch+json") return applyMergePatch(prev, patch) as Obj;
  try {
    return applyJsonPatch(prev, patch as readonly Operation[]) as Obj;
  } catch (error) {
    throw error instanceof PatchFailed ? unpatchable(error.message) : error;
  }
}
