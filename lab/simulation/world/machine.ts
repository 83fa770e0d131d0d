import { Actor } from "../core/actor.ts";
import { Disk } from "../disk/disk.ts";
import type { HasDisk } from "../disk/here.ts";
import { type Link, mend } from "../network/link.ts";
import { Agent } from "./agent.ts";
import { Kubelet } from "./kubelet.ts";
import { Runtime } from "./runtime.ts";
import { Vfs } from "./vfs.ts";
import { Whereabouts } from "./whereabouts.ts";
import type { World } from "./world.ts";

/** Nothing goes out, nothing comes in, or neither. */
interface Cut {
  readonly out: boolean;
  readonly in: boolean;
}

/** A node: its disk, its way to the API servers, and what runs on it. */
export class Machine implements Link, HasDisk {
  readonly name: string;
  readonly world: World;
  readonly disk = new Disk();
  readonly streams: Link["streams"] = new Set();
  isCutOut = false;
  isCutIn = false;
  /** When it was last cut off or without agent; now: it is. */
  awayUntilMs = Number.NEGATIVE_INFINITY;
  /** What the wall clock is ahead. */
  readonly clock = { wallOffsetMs: 0 };
  readonly agent: Agent;
  readonly kubelet: Kubelet;
  readonly runtime: Runtime;
  readonly vfs: Vfs;
  /** Its IPAM, for pods that do not have Railnet's. */
  readonly whereabouts: Whereabouts;
  /** Whose events those of kubelet and runtime are: until the machine stops. */
  actor: Actor;
  #cut: Cut | undefined;
  #boots = 0;
  #bootedMs = 0;
  isOff = true;

  constructor(name: string, world: World) {
    this.name = name;
    this.world = world;
    this.actor = this.process("off");
    this.agent = new Agent(this);
    this.runtime = new Runtime(this);
    this.vfs = new Vfs(this);
    this.whereabouts = new Whereabouts(this);
    this.kubelet = new Kubelet(this);
  }

  /** Another one after each boot. */
  get bootId(): string {
    return `${this.name}-${this.#boots}`;
  }

  get isCut(): boolean {
    return this.isCutIn || this.isCutOut;
  }

  /** A process on this machine. */
  process(name: string): Actor {
    return new Actor(`${this.name}.${name}`, this.world.simulation.seed, this, this.clock);
  }

  boot(): void {
    this.isOff = false;
    this.#bootedMs = this.world.simulation.nowMs;
    this.actor = this.process(`kubelet.${++this.#boots}`);
    for (const dir of ["/run/netns", "/etc"]) this.disk.dirs.add(dir);
    this.disk.make("/etc/kubeconfig", "{}");
    this.agent.start();
    this.kubelet.start();
  }

  /** Power goes and comes back: nothing runs any more, /run is empty, what was not synced may be lost. */
  powerCut({ wipes = false } = {}): void {
    if (this.isOff) return;
    const { simulation, random, living, actor } = this.world;
    this.isOff = true;
    simulation.note(`${this.name} loses power${wipes ? " and is re-imaged" : ""}`);
    this.agent.die();
    this.runtime.die();
    this.kubelet.die();
    this.actor.isDead = true;
    living.endedOn(this.name);
    this.disk.powerCut(random);
    if (wipes) this.kubelet.forgetStatics();
    if (wipes) this.disk.wipe();
    for (const stream of [...this.streams]) stream.close();
    simulation.after(random.between(5_000, 60_000), () => this.boot(), actor);
  }

  /** A process is killed, as by kill -9: what it asked the server for may still be done. */
  kill(process: Actor, why: string): void {
    if (process === this.agent.actor) this.agent.kill(why);
    else this.runtime.kill(process, why);
  }

  cut(directions: Cut): void {
    this.world.simulation.note(`${this.name} is cut off: ${JSON.stringify(directions)}`);
    this.isCutOut = directions.out;
    this.isCutIn = directions.in;
    this.#cut = directions;
    this.awayUntilMs = Number.POSITIVE_INFINITY;
  }

  /** @param cut only if it is still this one. Default: whichever it is. */
  mend(cut = this.#cut): void {
    if (!this.isCut || cut !== this.#cut) return;
    const { simulation, network } = this.world;
    simulation.note(`${this.name} is connected again`);
    mend(this, (ways) => network.random.pick(ways));
    this.kubelet.connected();
    this.awayUntilMs = simulation.nowMs;
  }

  /** Files that the kernel makes up. */
  readonly virtual = (path: string): string | undefined => {
    if (path === "/proc/sys/kernel/random/boot_id") return `${this.bootId}\n`;
    if (path !== "/proc/uptime") return undefined;
    return `${(this.world.simulation.nowMs - this.#bootedMs) / 1000} 0`;
  };
}
