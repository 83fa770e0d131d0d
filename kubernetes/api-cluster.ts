import type { ApiAnswer, Caller, Request } from "./caller.ts";
import type { At, Cluster, JsonPatch, KubeObject, Resource, Selection, WatchEvent } from "./cluster.ts";
import { Deadline } from "./deadline.ts";
import { type Action, isMissing, refusal } from "./failure.ts";
import { ACCEPT, pathTo, query } from "./paths.ts";
import { readEvents } from "./watch.ts";

/** A watch is asked to end after this to twice this time, so that the watches of many nodes do not end together. */
const WATCH_SECONDS = 600;

/** Page size where only a part of each object is kept: there are many, and everything else waits while a page is parsed. */
const KEPT_PAGE = 500;

type ListOptions = Selection & { readonly fromCache?: boolean };
interface Page<T> {
  /** null for an empty list of metadata. */
  readonly items?: readonly T[] | null;
  readonly metadata: {
    readonly resourceVersion: string;
    readonly continue?: string;
    /** How many follow this page; absent with a selector. */
    readonly remainingItemCount?: number;
  };
}

/**
 * The API server, over our own requests. The generated API classes of client-node, over the same fetch, cost 0.47 ms of
 * CPU per create where this costs 0.24 ms, and have no watch under Bun, no time limit and no `metadataOnly`.
 */
export class ApiCluster implements Cluster {
  readonly namespace: string;
  readonly #caller: Caller;
  readonly #pageSize: number;

  constructor(caller: Caller, namespace: string, pageSize: number) {
    this.#caller = caller;
    this.namespace = namespace;
    this.#pageSize = pageSize;
  }

  async get<T extends KubeObject>(
    resource: Resource,
    name: string,
    at: At & { readonly fromCache?: boolean } = {},
  ): Promise<T | undefined> {
    const action: Action = { verb: "get", resource, name };
    const path = `${this.#path(resource, at, name)}${at.fromCache ? "?resourceVersion=0" : ""}`;
    const answer = await this.#send(action, "GET", path, at);
    if (isMissing(answer.status, answer.body, name)) return undefined;
    return read<T>(action, answer);
  }

  async list<T extends KubeObject>(
    resource: Resource,
    selection: ListOptions & { keep?: (object: KubeObject) => T } = {},
  ) {
    const { keep = (object) => object as T } = selection;
    const limit = selection.keep ? Math.min(KEPT_PAGE, this.#pageSize) : this.#pageSize;
    const items: T[] = [];
    for (let next: string | undefined; ; ) {
      const page: Page<KubeObject> = await this.#page(resource, selection, limit, next);
      for (const item of page.items ?? []) items.push(keep(item));
      next = page.metadata.continue;
      if (!next) return { items, resourceVersion: page.metadata.resourceVersion };
    }
  }

  async count(resource: Resource, at: At = {}): Promise<number> {
    const selection = { ...at, metadataOnly: true };
    const { items, metadata } = await this.#page<KubeObject>(resource, selection, 1, undefined);
    return (items?.length ?? 0) + (metadata.remainingItemCount ?? 0);
  }

  async create<T extends KubeObject>(
    resource: Resource,
    object: T,
    at: At & { readonly isDryRun?: boolean } = {},
  ): Promise<T> {
    const action: Action = { verb: "create", resource, name: object.metadata.name };
    const path = `${this.#path(resource, withNamespaceOf(object, at))}${at.isDryRun ? "?dryRun=All" : ""}`;
    return read<T>(action, await this.#send(action, "POST", path, at, "application/json", object));
  }

  patch<T extends KubeObject>(resource: Resource, name: string, patch: JsonPatch, at: At = {}): Promise<T> {
    return this.#patch<T>(resource, name, "application/json-patch+json", patch, at);
  }

  mergePatch<T extends KubeObject>(resource: Resource, name: string, patch: object, at: At = {}): Promise<T> {
    return this.#patch<T>(resource, name, "application/merge-patch+json", patch, at);
  }

  async replace<T extends KubeObject>(resource: Resource, object: T, at: At = {}): Promise<T> {
    const { name } = object.metadata;
    const action: Action = { verb: "update", resource, name };
    const path = this.#path(resource, withNamespaceOf(object, at), name);
    return read<T>(action, await this.#send(action, "PUT", path, at, "application/json", object));
  }

  async delete(
    resource: Resource,
    name: string,
    preconditions: { readonly uid?: string; readonly resourceVersion?: string } = {},
    { namespace, signal }: At = {},
  ): Promise<boolean> {
    const action: Action = { verb: "delete", resource, name };
    const path = this.#path(resource, namespace === undefined ? {} : { namespace }, name);
    const body = { apiVersion: "v1", kind: "DeleteOptions", preconditions };
    const answer = await this.#send(action, "DELETE", path, { signal }, "application/json", body);
    if (isMissing(answer.status, answer.body, name)) return false;
    read(action, answer);
    return true;
  }

  async *watch<T extends KubeObject>(
    resource: Resource,
    from: Selection & { readonly resourceVersion: string },
  ): AsyncGenerator<WatchEvent<T>> {
    const { labelSelector, fieldSelector, resourceVersion, metadataOnly, signal } = from;
    const action: Action = { verb: "watch", resource };
    const timeoutSeconds = Math.round(WATCH_SECONDS * (1 + Math.random()));
    const options = { labelSelector, fieldSelector, resourceVersion, timeoutSeconds };
    const path = `${this.#path(resource, from)}${query({ ...options, watch: 1, allowWatchBookmarks: "true" })}`;
    const headers = headersOf(metadataOnly ? ACCEPT.metadata : ACCEPT.all);
    // A connection can die silently; the server was asked to end it before that.
    using line = new Deadline((timeoutSeconds + 15) * 1000, signal);
    try {
      const answer = await this.#caller.stream({ ...action, method: "GET", path, headers }, line.signal);
      if (answer.status !== 200) throw refusal(action, answer.status, await answer.text());
      yield* readEvents<T>(action, answer.pieces());
    } catch (error) {
      if (!line.signal.aborted) throw error;
    }
  }

  async #patch<T extends KubeObject>(resource: Resource, name: string, type: string, patch: object, at: At) {
    const action: Action = { verb: "patch", resource, name };
    return read<T>(action, await this.#send(action, "PATCH", this.#path(resource, at, name), at, type, patch));
  }

  async #page<T>(
    resource: Resource,
    selection: ListOptions,
    limit: number,
    next: string | undefined,
  ): Promise<Page<T>> {
    const { labelSelector, fieldSelector, metadataOnly, fromCache, signal } = selection;
    const action: Action = { verb: "list", resource };
    const version = fromCache && !next ? "0" : undefined; // later pages have the version of the first
    const options = { labelSelector, fieldSelector, limit, continue: next, resourceVersion: version };
    const headers = headersOf(metadataOnly ? ACCEPT.metadataList : ACCEPT.all);
    const path = `${this.#path(resource, selection)}${query(options)}`;
    return read(action, await this.#caller.call({ ...action, method: "GET", path, headers }, signal));
  }

  #path(resource: Resource, { namespace = this.namespace }: Pick<At, "namespace">, name = ""): string {
    return pathTo(resource, namespace, name);
  }

  #send(action: Action, method: string, path: string, at: At, contentType?: string, body?: object): Promise<ApiAnswer> {
    const headers = headersOf(at.metadataOnly ? ACCEPT.metadata : ACCEPT.all, contentType);
    const request: Request = { ...action, method, path, headers, ...(body && { body: JSON.stringify(body) }) };
    return this.#caller.call(request, at.signal);
  }
}

/** Not compressed: that costs the server more than a node's network traffic is worth. */
const headersOf = (accept: string, contentType?: string): Record<string, string> => ({
  Accept: accept,
  "Accept-Encoding": "identity",
  "User-Agent": "railnet",
  ...(contentType && { "Content-Type": contentType }),
});

function withNamespaceOf({ metadata }: KubeObject, at: At): Pick<At, "namespace"> {
  const namespace = at.namespace ?? metadata.namespace;
  return namespace === undefined ? {} : { namespace };
}

function read<T>(action: Action, { status, body }: ApiAnswer): T {
  if (status < 200 || status > 299) throw refusal(action, status, body);
  try {
    return JSON.parse(body);
  } catch {
    throw refusal(action, 500, `the answer is not JSON: ${body.slice(0, 200)}`);
  }
}
