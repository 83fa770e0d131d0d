import type { FenceOrder, FenceOutcome } from "../../../cni/attachment/fence.ts";
import { Journal } from "../../../cni/attachment/journal.ts";
import type { Attachment as Entry } from "../../../cni/attachment/record.ts";
import { keyOf } from "../api/objects.ts";
import { runAs } from "../core/actor.ts";
import { PATHS } from "./edges.ts";
import type { Machine } from "./machine.ts";
import type { Attachment } from "./runtime.ts";

/** The attach plugin's half, as far as the fence needs it: its journal, and VFs that are up or down. */
export class Vfs {
  readonly #machine: Machine;
  readonly #journal = new Journal(PATHS.stateDir);
  #last = 0;

  constructor(machine: Machine) {
    this.#machine = machine;
  }

  /** Costs a few writes each: only where it is needed. */
  get #isKept(): boolean {
    return this.#machine.world.settings.hasFence;
  }

  attached({ pod, containerId, ifname, netns, rail }: Attachment, stdout: string): void {
    if (!this.#isKept) return;
    const entry: Entry = {
      version: 1,
      phase: "attached",
      bootId: this.#machine.bootId,
      containerId,
      ifname,
      network: rail.name,
      netns,
      netnsInode: this.#machine.disk.files.get(netns)?.ino ?? 0,
      device: { pci: `0000:00:${(this.#last++).toString(16)}` },
      original: {} as Entry["original"],
      applied: {},
      addresses: JSON.parse(stdout),
      request: { path: [], args: "", stdin: "" },
      pod: keyOf(pod),
    };
    this.#asRoot(() => this.#journal.write(entry));
  }

  detached({ containerId, ifname }: Attachment): void {
    if (!this.#isKept) return;
    this.#asRoot(() => {
      const entry = this.#journal.find(containerId, ifname);
      if (entry) this.#journal.forget(entry);
    });
  }

  /** As the kernel thread of a PF does it: {@link Lanes.fence}. */
  async fence(_pci: string, { containerId, ifname, to }: FenceOrder): Promise<FenceOutcome> {
    const { world } = this.#machine;
    await world.simulation.sleep(world.random.between(1, 50));
    const entry = this.#journal.find(containerId, ifname);
    if (entry?.phase !== "attached") return "gone";
    this.#journal.update(entry, { fenced: to === "fenced" ? { at: "PF" } : null });
    world.living.fenced(containerId, ifname, to === "fenced");
    return "done";
  }

  #asRoot(work: () => void): void {
    runAs(this.#machine.process("attach"), work);
  }
}
