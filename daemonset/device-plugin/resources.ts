import { statSync } from "node:fs";
import { join } from "node:path";
import { type Offered, writeOffered } from "../../cni/attachment/told/offered.ts";
import { KUBELET_CHECKPOINT, type KubeletDevices, readKubeletDevices } from "../../cni/kubelet-devices.ts";
import { listGpus, nearestGpus } from "../../kernel/pcie.ts";
import { vfsOf } from "../../kernel/sysfs.ts";
import type { RailHere } from "../rails/select.ts";
import { SETS_RESOURCE } from "../rails/sets.ts";
import { isIn } from "../rails/vf-range.ts";
import { sweepDeviceInfo } from "./device-info.ts";
import { PluginResource, type ResourceHost, type ResourceNames } from "./resource.ts";
import { lookAtSets, reservedVfs, type SetsHere, withoutSets } from "./sets.ts";
import { lookAtVfs, type Sight } from "./sight.ts";

/** The resources of a node: one per rail, and that of the sets. */
export class Resources {
  readonly #host: ResourceHost;
  readonly #open = new Map<string, PluginResource>();
  #looks = 0;
  /** Why the kubelet did not take a resource, so that it is said once. */
  readonly #said = new Map<string, string>();

  constructor(host: ResourceHost) {
    this.#host = host;
  }

  /**
   * Looks at the VFs of the rails.
   *
   * @param attached VFs with a record in the journal.
   * @param owed VFs that could not be fully restored.
   * @param unfit why other VFs cannot be given to a pod, beyond what sysfs says, by PCI address.
   * @param sets VFs that are offered together; by default none.
   */
  async look(
    rails: readonly RailHere[],
    attached: ReadonlySet<string>,
    owed: ReadonlySet<string> = new Set(),
    unfit: Readonly<Record<string, string>> = {},
    sets: SetsHere = NO_SETS,
  ): Promise<void> {
    const ofSets = sets.count > 0 ? [namesOfSets(sets)] : [];
    this.#lookBack(attached);
    await this.#endOthers([...rails.map(namesOf), ...ofSets], attached);
    const { sysfs } = this.#host;
    this.#sayOffered(rails);
    const forSets = new Map<string, readonly Sight[]>();
    for (const here of rails) {
      const resource = this.#resourceOf(namesOf(here));
      const reserved = reservedVfs(here, sets, sysfs);
      const sights = lookAtVfs(here, sysfs, attached, owed, resource.listed, unfit);
      resource.show(withoutSets(sights, reserved, sets.inSets));
      forSets.set(
        here.rail.name,
        sights.filter(({ id }) => reserved.includes(id)),
      );
    }
    for (const names of ofSets) {
      const resource = this.#resourceOf(names);
      resource.show(lookAtSets(sets, (rail) => forSets.get(rail), resource.listed));
    }
  }

  /** Looks at the kubelet: a new one, or one that lost us, is told of the rails. */
  async register(): Promise<void> {
    const kubelet = identityOf(join(this.#host.directory, "kubelet.sock"));
    if (kubelet) await Promise.all([...this.#open.values()].map((resource) => this.#register(resource, kubelet)));
  }

  async close(): Promise<void> {
    for (const resource of this.#open.values()) await resource.close();
    this.#open.clear();
  }

  /** For ADD, before the kubelet hears of them and a pod has one; without it pods are not told of their rails. */
  #sayOffered(rails: readonly RailHere[]): void {
    const { sysfs, runDir, log } = this.#host;
    try {
      writeOffered(runDir, offeredOf(rails, sysfs));
    } catch (err) {
      log.warn({ err, runDir }, "cannot note which VFs are offered: pods are not told of their rails");
    }
  }

  /**
   * An agent before this one may have kept what pods have, too: by the kubelet's notes, of Railnet's own resources. At the second
   * look, when the rails of this node are known.
   */
  #lookBack(attached: ReadonlySet<string>): void {
    if (++this.#looks !== 2) return;
    const offered = new Set([...this.#open.values()].map(({ name }) => name));
    const held = new Map<string, Sight[]>();
    for (const { resource, ids } of notesOf(this.#host.directory))
      if (resource.startsWith(OWN_DOMAIN) && !offered.has(resource))
        held.set(resource, [...(held.get(resource) ?? []), ...ids.filter((id) => isAttached(id, attached)).map(heldSight)]); // biome-ignore format: one row
    for (const [resource, sights] of held)
      if (sights.length > 0) this.#resourceOf({ resource, rail: resource, file: `railnet.${resource.slice(OWN_DOMAIN.length)}.sock` }).show(sights); // biome-ignore format: one row
  }

  /**
   * What is not offered any more. The kubelet starts no container of a pod, not even one that ended, when the resource of its
   * devices is gone (`callPreStartContainerIfNeeded()`, pkg/kubelet/cm/devicemanager/manager.go): what pods have is listed,
   * as unhealthy, until they have ended. Unless another rail has the resource now.
   */
  async #endOthers(offered: readonly ResourceNames[], attached: ReadonlySet<string>): Promise<void> {
    const { log } = this.#host;
    for (const [key, resource] of [...this.#open]) {
      if (offered.some((names) => keyOf(names) === key)) continue;
      const left = resource.sights.filter(({ id }) => isAttached(id, attached));
      if (left.length > 0 && offered.every(({ resource: name }) => name !== resource.name)) {
        resource.show(left.map((sight) => ({ ...sight, attached: true, unready: true, problem: NOT_OFFERED })));
        continue;
      }
      this.#open.delete(key);
      await resource.close();
      log.info({ resource: resource.name }, "a rail is no longer offered to the kubelet");
    }
  }

  #resourceOf(names: ResourceNames): PluginResource {
    const key = keyOf(names);
    const resource = this.#open.get(key) ?? new PluginResource(names, this.#host);
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
      this.#host.log.warn({ resource: resource.name, why }, "the kubelet refused a resource; retrying");
    }
  }
}

/** All of the rails' VFs, also those in pods. */
function offeredOf(rails: readonly RailHere[], sysfs: string): Offered {
  const all = listGpus(sysfs);
  const vfs = rails.flatMap(({ rail, pf, ranges }) =>
    vfsOf(sysfs, pf.pci).flatMap((vf, index) => (isIn(index, ranges) ? [[vf, rail.name] as const] : [])),
  );
  const near = all.length === 0 ? [] : rails.map(({ pf }) => [pf.pci, nearestGpus(sysfs, pf.pci, all)] as const);
  return {
    version: 1,
    rails: Object.fromEntries(vfs),
    ...(near.length > 0 && { gpus: Object.fromEntries(near) }),
  };
}

const NOT_OFFERED = "no list has its rail any more: it stays with its pod until that has ended";
const OWN_DOMAIN = "railnet.io/";

const isAttached = (id: string, attached: ReadonlySet<string>): boolean =>
  id.split(",").some((pci) => attached.has(pci));

const heldSight = (id: string): Sight => ({ id, vfs: [], attached: true, gone: false, unready: true, problem: NOT_OFFERED }); // biome-ignore format: one row

/** Nothing where the kubelet has none, or none that can be read. */
function notesOf(directory: string): KubeletDevices {
  try {
    return readKubeletDevices(join(directory, KUBELET_CHECKPOINT));
  } catch {
    return [];
  }
}

const NO_SETS: SetsHere = { count: 0, rails: [], inSets: new Set() };

/** A renamed rail has another socket. */
const keyOf = ({ resource, file }: ResourceNames): string => `${resource} ${file}`;

const namesOf = ({ rail: { name, resource } }: RailHere): ResourceNames => ({
  resource,
  rail: name,
  file: `railnet-${name}.sock`,
});

/** No rail's name contains a dot. */
const namesOfSets = ({ rails }: SetsHere): ResourceNames => ({
  resource: SETS_RESOURCE,
  rail: rails.join("+"),
  file: "railnet.sets.sock",
});

/** Another kubelet creates another socket; "" if there is none. */
function identityOf(socket: string): string {
  const found = statSync(socket, { throwIfNoEntry: false });
  return found ? `${found.ino} ${found.ctimeMs}` : "";
}
