import { mkdtempSync, rmSync } from "node:fs";
import { join, resolve } from "node:path";
import { Netns } from "../../../lab/netns/netns.ts";
import { must } from "../../../lab/netns/run.ts";
import { sweep, worldPrefix } from "../../../lab/netns/sweep.ts";
import type { Outcome, Task } from "./kernel.ts";

const bun = resolve("node_modules/.bin/bun");
const driver = join(import.meta.dirname, "kernel.ts");
const LINK_MAC = "02:00:00:00:00:07";
export const PEER_MAC = "02:00:00:00:00:08";

/** A host with the link `v0`, whose peer `v1` is in `wire`, and an empty pod: namespaces of this machine, as root. */
export class Live {
  readonly host: Netns;
  readonly pod: Netns;
  readonly wire: Netns;
  readonly #dir: string;

  private constructor(dir: string, host: Netns, pod: Netns, wire: Netns) {
    this.#dir = dir;
    this.host = host;
    this.pod = pod;
    this.wire = wire;
  }

  static async create(): Promise<Live> {
    sweep();
    const dir = mkdtempSync(worldPrefix());
    const [host, pod, wire] = await Promise.all(["host", "pod", "wire"].map((name) => Netns.create(join(dir, name))));
    await host!.batch([
      `link add v0 address ${LINK_MAC} type veth peer name v1 address ${PEER_MAC}`,
      `link set v1 netns ${wire!.path}`,
    ]);
    await wire!.ip("link", "set", "v1", "up");
    return new Live(dir, host!, pod!, wire!);
  }

  /** Runs calls of the kernel layer in one of the namespaces, in a process of their own. */
  async run(where: Netns, task: Task): Promise<Outcome> {
    return JSON.parse(await must(...where.enter(bun, driver, JSON.stringify(task)))) as Outcome;
  }

  request(where: Netns, ...calls: Task["calls"]): Promise<Outcome> {
    return this.run(where, { as: "requests", calls });
  }

  async index(where: Netns, name: string): Promise<number> {
    return Number((await where.show("link", "show", name))[0]!["ifindex"]);
  }

  async remove(): Promise<void> {
    await Promise.all([this.host, this.pod, this.wire].map((netns) => netns.remove()));
    rmSync(this.#dir, { recursive: true });
  }
}
