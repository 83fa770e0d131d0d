import type { Obj, Reply } from "../api/objects.ts";
import type { Machine } from "./machine.ts";
import type { Answer, Attachment } from "./runtime.ts";
import { WhereaboutsTurn } from "./whereabouts-turn.ts";

const GROUP = "/apis/whereabouts.cni.cncf.io/v1alpha1/namespaces/kube-system";
/** Tries at a pool that others write, too; DatastoreRetries. */
const TRIES = 100;

type Allocations = Readonly<Record<string, { readonly id: string; readonly podref: string; readonly ifname: string }>>;

/**
 * The IPAM plugin of Whereabouts 0.9 as its source has it (pkg/storage/kubernetes/ipam.go): in its turn it reads the pool,
 * takes the lowest offset that has neither record nor a reservation of another pod, writes the pool if nobody else has
 * meanwhile, then makes the reservation; DEL takes away the record, then the reservation by its name alone.
 */
export class Whereabouts {
  readonly #machine: Machine;
  readonly #turn: WhereaboutsTurn;

  constructor(machine: Machine) {
    this.#machine = machine;
    this.#turn = new WhereaboutsTurn(machine.name, (...request) => this.#send(...request), machine.world);
  }

  async call(verb: "ADD" | "DEL", attachment: Attachment): Promise<Answer> {
    try {
      return await this.#turn.during(() => (verb === "ADD" ? this.#add(attachment) : this.#delete(attachment)));
    } catch (error) {
      if (error instanceof Failed) return { exit: 1, stdout: error.message };
      throw error;
    }
  }

  async #add({ pod, containerId, ifname, rail }: Attachment): Promise<Answer> {
    const { range = "" } = rail.ipam;
    const podref = `${pod.metadata.namespace}/${pod.metadata.name}`;
    const others = new Set<string>();
    for (let attempt = 0; attempt < TRIES; attempt++) {
      const pool = await this.#pool(range);
      const allocations: Allocations = pool["spec"].allocations ?? {};
      const own = Object.entries(allocations).find(([, one]) => one.podref === podref && one.ifname === ifname);
      const offset = own?.[0] ?? lowest(allocations, others);
      const ip = range.split("/")[0]!.replace(/\d+$/, offset);
      const reserved = await this.#find(`overlappingrangeipreservations/${ip}`);
      if (reserved && reserved["spec"].podref !== podref) {
        others.add(offset);
        continue;
      }
      const after = { ...allocations, [offset]: { id: containerId, podref, ifname } };
      if (!(await this.#write(pool, after))) continue;
      if (!reserved) await this.#reserve(ip, podref, ifname);
      return { exit: 0, stdout: JSON.stringify({ ips: [{ address: `${ip}/${range.split("/")[1]}` }] }) };
    }
    throw new Failed("no address");
  }

  async #delete({ containerId, ifname, rail }: Attachment): Promise<Answer> {
    const { range = "" } = rail.ipam;
    for (let attempt = 0; attempt < TRIES; attempt++) {
      const pool = await this.#pool(range);
      const { ...rest } = pool["spec"].allocations ?? {};
      const [offset] =
        Object.entries(rest as Allocations).find(([, one]) => one.id === containerId && one.ifname === ifname) ?? [];
      if (offset === undefined) return { exit: 0, stdout: "" };
      delete rest[offset];
      if (!(await this.#write(pool, rest))) continue;
      const ip = range.split("/")[0]!.replace(/\d+$/, offset);
      await this.#send("DELETE", `${GROUP}/overlappingrangeipreservations/${ip}`);
      return { exit: 0, stdout: "" };
    }
    throw new Failed("pool not written");
  }

  async #pool(range: string): Promise<Obj> {
    const name = range.replace("/", "-");
    const found = await this.#find(`ippools/${name}`);
    if (found) return found;
    await this.#send("POST", `${GROUP}/ippools`, { metadata: { name }, spec: { range, allocations: {} } });
    throw new Failed("pool made, to be tried again");
  }

  /** @returns false when somebody else wrote meanwhile. */
  async #write({ metadata: { name, resourceVersion } }: Obj, allocations: Allocations): Promise<boolean> {
    const patch = [
      { op: "test", path: "/metadata/resourceVersion", value: resourceVersion },
      { op: "replace", path: "/spec/allocations", value: allocations },
    ];
    return (await this.#send("PATCH", `${GROUP}/ippools/${name}`, patch)).status === 200;
  }

  async #reserve(ip: string, podref: string, ifname: string): Promise<void> {
    const object = { metadata: { name: ip }, spec: { podref, ifname, containerid: "" } };
    const { status } = await this.#send("POST", `${GROUP}/overlappingrangeipreservations`, object);
    if (status !== 201) throw new Failed(`reservation: ${status}`);
  }

  async #find(path: string): Promise<Obj | undefined> {
    const { status, body } = await this.#send("GET", `${GROUP}/${path}`);
    return status === 200 ? JSON.parse(body) : undefined;
  }

  /** @throws {Failed} where no server answers. */
  async #send(method: string, path: string, body?: object): Promise<Reply> {
    const { world } = this.#machine;
    await world.simulation.sleep(world.random.between(0.5, 5));
    if (this.#machine.isCut || world.network.isDown) throw new Failed("no answer");
    const type = method === "PATCH" ? "application/json-patch+json" : "application/json";
    const said = world.server.handle(method, path, { "Content-Type": type }, body && JSON.stringify(body));
    await world.simulation.sleep(world.random.between(0.5, 5));
    return said;
  }
}

export class Failed extends Error {}

/** Of a /26: the first one is the network's, the last one the broadcast address. */
function lowest(allocations: Allocations, others: ReadonlySet<string>): string {
  for (let offset = 1; offset < 63; offset++)
    if (!allocations[offset] && !others.has(String(offset))) return String(offset);
  throw new Failed("range exhausted");
}
