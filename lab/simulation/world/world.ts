import type { Backup } from "../api/etcd.ts";
import type { Obj } from "../api/objects.ts";
import { ApiServer } from "../api/server.ts";
import { Actor } from "../core/actor.ts";
import { Random } from "../core/random.ts";
import { Simulation, setSimulation } from "../core/simulation.ts";
import { Network } from "../network/network.ts";
import { KINDS, NAMESPACE, RESERVED } from "./kinds.ts";
import { Leaders } from "./leaders.ts";
import { type Living, LivingSandboxes, type Taker, tellOf } from "./living.ts";
import { Machine } from "./machine.ts";
import { Pods } from "./pods.ts";
import type { Attachment } from "./runtime.ts";

interface Ipam {
  readonly range?: string;
  readonly ipRanges?: readonly { readonly range: string; readonly range_start: string; readonly range_end: string }[];
  readonly network_name?: string;
  readonly enable_overlapping_ranges?: boolean;
}

/** An attachment of each pod: a rail. */
export interface Rail {
  readonly name: string;
  readonly ipam: Ipam;
}

export interface Settings {
  readonly nodes: readonly string[];
  readonly mode: "absent" | "coexist";
  /** The rails of a pod, in the order of its interfaces. */
  readonly rails: (pod: string) => readonly Rail[];
  /** Whether what only a net catches, a GC or a repair, is a violation: nothing in this run may fall into one. */
  readonly isStrict: boolean;
  /** Whether nodes take their VFs down when nobody hears them. */
  readonly hasFence: boolean;
}

/** A broken rule. */
export class Violation extends Error {
  override readonly name = "Violation";
  readonly rule: string;

  constructor(rule: string, detail: string) {
    super(`${rule}: ${detail}`);
    this.rule = rule;
  }
}

/** A cluster around the product's code: API server, network, machines, pods. */
export class World {
  readonly simulation: Simulation;
  readonly settings: Settings;
  readonly random: Random;
  /** Whose events the world's own are. */
  readonly actor: Actor;
  readonly server: ApiServer;
  readonly network: Network;
  readonly machines = new Map<string, Machine>();
  readonly pods: Pods;
  readonly living: LivingSandboxes;
  readonly leaders: Leaders;
  /** Told of each ADD that succeeded. */
  onAdded: (attachment: Attachment, ips: readonly string[]) => void = () => {};
  readonly counts = { adds: 0, addFailures: 0, dels: 0, crashes: 0, warnings: 0, nets: 0, standAlone: 0 };

  constructor(seed: string, settings: Settings, { keepsTrace = false } = {}) {
    this.simulation = new Simulation(seed, { keepsTrace });
    setSimulation(this.simulation);
    this.settings = settings;
    this.random = new Random(`${seed} world`);
    this.actor = new Actor("world", seed);
    this.server = new ApiServer(KINDS, new Random(`${seed} server`));
    this.network = new Network(this.server, seed);
    this.pods = new Pods(this);
    const fail = (rule: string, detail: string) => this.fail(rule, detail);
    this.living = new LivingSandboxes({
      fail,
      nowMs: () => this.simulation.nowMs,
      wasAway: (node, sinceMs) => this.machines.get(node)!.awayUntilMs >= sinceMs,
      onExcused: (first) => this.#excused(first),
    });
    this.leaders = new Leaders(fail);
    this.server.onChange = (change) => {
      this.network.changed(change.rev);
      this.living.saw(change);
    };
    this.server.serve(RESERVED);
    this.setMode(settings.mode);
    for (const name of settings.nodes) {
      this.makeNode(name);
      this.machines.set(name, new Machine(name, this));
    }
  }

  start(): void {
    for (const machine of this.machines.values()) machine.boot();
  }

  fail(rule: string, detail: string): void {
    this.simulation.note(`VIOLATION ${rule}: ${detail}`);
    this.simulation.failure ??= new Violation(rule, detail);
  }

  makeNode(name: string): void {
    this.server.put("nodes", { metadata: { name }, status: { conditions: [{ type: "Ready", status: "True" }] } });
  }

  setMode(mode: Settings["mode"]): void {
    const name = { namespace: NAMESPACE, name: "railnet-config" };
    const before = this.server.etcd.get("configmaps", `${NAMESPACE}/${name.name}`);
    const data = { ...before?.["data"], whereabouts: mode };
    this.server.put("configmaps", { metadata: before?.metadata ?? name, data });
  }

  /** Something that a person does to the objects of Railnet. */
  byHand(taker: Taker, act: () => void): void {
    this.living.taker = taker;
    try {
      act();
    } finally {
      this.living.taker = undefined;
    }
  }

  backup(): Backup {
    this.simulation.note(`etcd backup at ${this.server.etcd.rev}`);
    return this.server.etcd.backup();
  }

  /**
   * A restore of etcd, and a start of the API servers. Pods and nodes stay as they are: what controllers and kubelets make
   * of a restore is not the matter here.
   */
  restore(backup: Backup, bump: number): void {
    const { server, simulation } = this;
    simulation.note(`etcd restored to ${backup.rev} from ${server.etcd.rev}, bumped by ${bump}`);
    const kept = ["pods", "nodes"].map((plural) => [plural, new Map(server.etcd.all(plural))] as const);
    server.watches.end();
    server.etcd.restore(backup, bump);
    for (const [plural, objects] of kept) this.#keep(plural, objects);
    this.living.compare(server.etcd);
  }

  /** As the product says in its event about a duplicate: the pod is to be deleted. */
  #excused(first: Living): void {
    this.simulation.note(`doubled, as nobody promises otherwise: ${first.ip} of ${tellOf(first)}`);
    this.simulation.after(120_000, () => this.pods.endOf(first), this.actor);
  }

  #keep(plural: string, objects: ReadonlyMap<string, Obj>): void {
    const { server } = this;
    for (const [key, { metadata }] of [...server.etcd.all(plural)])
      if (objects.get(key)?.metadata.uid !== metadata.uid) server.remove(plural, key);
    for (const [key, object] of objects) if (server.etcd.get(plural, key) !== object) server.put(plural, object);
  }
}
