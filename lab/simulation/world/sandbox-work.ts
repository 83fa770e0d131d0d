import { keyOf, type Obj } from "../api/objects.ts";
import type { Machine } from "./machine.ts";
import { isForeign, uidOf } from "./pods.ts";
import type { Attachment } from "./runtime.ts";

/** A pod on its node. */
export interface PodWork {
  readonly pod: Obj;
  /** From a file of its node. */
  readonly isStatic: boolean;
  isOver: boolean;
  /** Its object goes when it is over. */
  deletes: boolean;
  /** Its sandbox died. */
  restarts: boolean;
  wake: () => void;
}

interface Given {
  readonly address: string;
  readonly probe?: true;
}

/** Sandboxes of a pod, one after the other, until it is over. */
export class SandboxWork {
  readonly #machine: Machine;
  readonly #work: PodWork;

  constructor(machine: Machine, work: PodWork) {
    this.#machine = machine;
    this.#work = work;
  }

  async run(): Promise<void> {
    const { simulation, random, living } = this.#machine.world;
    const work = this.#work;
    for (let attempt = 0; !work.isOver; attempt++) {
      work.restarts = false;
      const attachments = this.#newSandbox();
      const { containerId, netns } = attachments[0]!;
      if (await this.#addAll(attachments)) await this.#untilItEnds();
      living.ended(containerId);
      await this.#delAll(attachments);
      this.#machine.disk.files.delete(netns);
      if (random.chance(0.2)) void this.#delLate(attachments);
      if (!work.isOver) await simulation.sleep(Math.min(10_000, 500 * 2 ** attempt) * random.next() ** 2);
    }
  }

  #newSandbox(): Attachment[] {
    const { world, disk } = this.#machine;
    const containerId = world.random.hex(64);
    const netns = `/run/netns/cni-${containerId.slice(0, 12)}`;
    disk.make(netns);
    const rails = world.settings.rails(this.#work.pod.metadata.name);
    return rails.map((rail, i) => ({ pod: this.#work.pod, containerId, netns, rail, ifname: `net${i + 1}` }));
  }

  async #untilItEnds(): Promise<void> {
    this.#sayRunning();
    const work = this.#work;
    while (!work.isOver && !work.restarts) await new Promise<void>((resolve) => (work.wake = resolve));
  }

  async #addAll(attachments: readonly Attachment[]): Promise<boolean> {
    const { counts, living, simulation } = this.#machine.world;
    const ips = await Promise.all(attachments.map((attachment) => this.#add(attachment)));
    const isUp = !this.#work.isOver && ips.every((some) => some !== undefined);
    counts[isUp ? "adds" : "addFailures"]++;
    if (!isUp) return false;
    attachments.forEach(({ pod, containerId, ifname, rail }, i) => {
      const who = { node: this.#machine.name, podref: keyOf(pod), podUid: pod.metadata.uid, containerId, ifname };
      const network = rail.ipam.network_name ?? "";
      for (const ip of ips[i]!) living.begun({ ...who, ip, network, sinceMs: simulation.nowMs, isFenced: false });
    });
    return true;
  }

  /** The attach plugin asks the rail for an address that came out of quarantine, and does not take what answers. */
  async #add(attachment: Attachment): Promise<string[] | undefined> {
    const { exit, stdout } = await this.#machine.runtime.call("ADD", attachment);
    if (exit !== 0) return undefined;
    const { living, simulation, onAdded } = this.#machine.world;
    const { network_name = "" } = attachment.rail.ipam;
    const given: Given[] = JSON.parse(stdout).ips;
    const ips = given.map(({ address }) => address.split("/")[0]!);
    if (!isForeign(attachment.pod)) onAdded(attachment, ips);
    const other = given.some(({ probe }) => probe) && ips.map((ip) => living.user(network_name, ip)).find(Boolean);
    if (!other) {
      this.#machine.vfs.attached(attachment, stdout);
      return ips;
    }
    simulation.note(`${this.#machine.name}: ${other.ip} answers on the rail: ${other.podref} has it`);
    return undefined;
  }

  async #delAll(attachments: readonly Attachment[]): Promise<void> {
    const { counts, simulation, random } = this.#machine.world;
    for (const attachment of attachments) {
      this.#machine.vfs.detached(attachment);
      while ((await this.#machine.runtime.call("DEL", attachment)).exit !== 0)
        await simulation.sleep(random.between(500, 3_000));
    }
    counts.dels++;
  }

  /** A runtime repeats DEL at its whim. */
  async #delLate(attachments: readonly Attachment[]): Promise<void> {
    const { simulation, random } = this.#machine.world;
    await simulation.sleep(random.between(100, 90_000));
    await this.#delAll(attachments);
  }

  #sayRunning(): void {
    const { isCut, world } = this.#machine;
    const { pod } = this.#work;
    const now = world.server.etcd.get("pods", keyOf(pod));
    if (!isCut && now && uidOf(now) === pod.metadata.uid && now["status"].phase === "Pending")
      world.server.put("pods", { ...now, status: { phase: "Running" } });
  }
}
