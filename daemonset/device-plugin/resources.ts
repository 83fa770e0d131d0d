import { statSync } from "node:fs";
import { join } from "node:path";
import type { RailHere } from "../rails/select.ts";
import { sweepDeviceInfo } from "./device-info.ts";
import { PluginResource, type ResourceHost } from "./resource.ts";

/** The resources of a node, one a rail. */
export class Resources {
  readonly #host: ResourceHost;
  readonly #open = new Map<string, PluginResource>();
  /** Why the kubelet did not take a resource, so that it is said once. */
  readonly #said = new Map<string, string>();

  constructor(host: ResourceHost) {
    this.#host = host;
  }

  /**
   * Looks at the VFs of the rails.
   *
   * @param attached those that have a record in the journal.
   * @param owed those that could not be put back as they were.
   * @param unfit why others cannot be given to a pod, beyond what sysfs says, by PCI address.
   */
  async look(
    rails: readonly RailHere[],
    attached: ReadonlySet<string>,
    owed: ReadonlySet<string> = new Set(),
    unfit: Readonly<Record<string, string>> = {},
  ): Promise<void> {
    await this.#closeOthers(rails.map(keyOf));
    for (const rail of rails) this.#resourceOf(rail).look(rail, attached, owed, unfit);
  }

  /** Looks at the kubelet: a new one, or one that lost us, is told of the rails. */
  async register(): Promise<void> {
    const kubelet = identityOf(join(this.#host.directory, "kubelet.sock"));
    if (kubelet) await Promise.all([...this.#open.values()].map((resource) => this.#register(resource, kubelet)));
  }

  async close(): Promise<void> {
    await this.#closeOthers([]);
  }

  async #closeOthers(keys: readonly string[]): Promise<void> {
    for (const [key, resource] of [...this.#open]) {
      if (keys.includes(key)) continue;
      this.#open.delete(key);
      await resource.close();
      this.#host.log.info({ resource: resource.name }, "a rail is not offered to the kubelet any more");
    }
  }

  #resourceOf(rail: RailHere): PluginResource {
    const key = keyOf(rail);
    const resource = this.#open.get(key) ?? new PluginResource(rail, this.#host);
    if (!this.#open.has(key)) sweepDeviceInfo(this.#host.deviceInfoDir, resource.name, this.#host.sysfs);
    this.#open.set(key, resource);
    return resource;
  }

  async #register(resource: PluginResource, kubelet: string): Promise<void> {
    try {
      await resource.ensureRegistered(kubelet);
      this.#said.delete(resource.name);
    } catch (error) {
      const why = (error as Error).message;
      if (this.#said.get(resource.name) === why) return;
      this.#said.set(resource.name, why);
      this.#host.log.warn({ resource: resource.name, why }, "the kubelet did not take a resource: it is asked again");
    }
  }
}

/** A rail under another name has another socket. */
const keyOf = ({ rail }: RailHere): string => `${rail.resource} ${rail.name}`;

/** Another kubelet makes another socket; "" when there is none. */
function identityOf(socket: string): string {
  const found = statSync(socket, { throwIfNoEntry: false });
  return found ? `${found.ino} ${found.ctimeMs}` : "";
}
