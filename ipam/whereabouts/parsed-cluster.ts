import type { At, Cluster, JsonPatch, KubeObject, Resource, Selection, WatchEvent } from "../../kubernetes/cluster.ts";
import { parseStored } from "./parse.ts";

type Whole = { readonly metadataOnly?: boolean };

/** The API server, with Whereabouts' objects parsed on arrival: {@link parseStored}. */
export class ParsedCluster implements Cluster {
  readonly namespace: string;
  readonly #cluster: Cluster;

  constructor(cluster: Cluster) {
    this.#cluster = cluster;
    this.namespace = cluster.namespace;
  }

  async get<T extends KubeObject>(resource: Resource, name: string, at?: At): Promise<T | undefined> {
    const found = await this.#cluster.get<T>(resource, name, at);
    return found && parsed(resource, found, at);
  }

  async list<T extends KubeObject>(
    resource: Resource,
    selection: Selection & { readonly fromCache?: boolean; readonly keep?: (object: KubeObject) => T } = {},
  ) {
    const { keep = (object: KubeObject) => object as T } = selection;
    const parsing = { keep: (object: KubeObject) => keep(parsed(resource, object, selection)) };
    if (selection.keep) return this.#cluster.list<T>(resource, { ...selection, ...parsing });
    const { items, resourceVersion } = await this.#cluster.list<T>(resource, selection); // larger pages than with `keep`
    return { items: items.map((object) => parsed(resource, object, selection)), resourceVersion };
  }

  count(...args: Parameters<Cluster["count"]>): Promise<number> {
    return this.#cluster.count(...args);
  }

  async create<T extends KubeObject>(resource: Resource, object: T, at?: Parameters<Cluster["create"]>[2]): Promise<T> {
    return parsed(resource, await this.#cluster.create(resource, object, at), at);
  }

  async patch<T extends KubeObject>(resource: Resource, name: string, patch: JsonPatch, at?: At): Promise<T> {
    return parsed(resource, await this.#cluster.patch<T>(resource, name, patch, at), at);
  }

  async mergePatch<T extends KubeObject>(resource: Resource, name: string, patch: object, at?: At): Promise<T> {
    return parsed(resource, await this.#cluster.mergePatch<T>(resource, name, patch, at), at);
  }

  async replace<T extends KubeObject>(resource: Resource, object: T, at?: At): Promise<T> {
    return parsed(resource, await this.#cluster.replace(resource, object, at), at);
  }

  delete(...args: Parameters<Cluster["delete"]>): Promise<boolean> {
    return this.#cluster.delete(...args);
  }

  async *watch<T extends KubeObject>(
    resource: Resource,
    from: Selection & { readonly resourceVersion: string },
  ): AsyncGenerator<WatchEvent<T>> {
    for await (const event of this.#cluster.watch<T>(resource, from))
      yield event.type === "BOOKMARK" ? event : { ...event, object: parsed(resource, event.object, from) };
  }
}

const parsed = <T extends KubeObject>(resource: Resource, object: T, { metadataOnly = false }: Whole = {}): T =>
  metadataOnly ? object : parseStored(resource, object);
