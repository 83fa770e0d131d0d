import { keepFenced } from "../../../daemonset/addresses/node/fence.ts";
import { Addresses } from "../../../daemonset/addresses/service/addresses.ts";
import { Notes } from "../../../daemonset/notes.ts";
import { EventRecorder } from "../../../kubernetes/events/recorder.ts";
import { type Actor, runAs } from "../core/actor.ts";
import { accessTo, PATHS, policyOf } from "./edges.ts";
import type { Machine } from "./machine.ts";

/** Logs of nets: whatever says so has caught something. */
const NET = /address freed|: restored|set aside/;

/** An agent that was killed is back, and has looked at its node, after so long at the most. */
const AGENT_STARTS_MS = 10_000;

const LEADS: Readonly<Record<string, boolean>> = { "this agent leads": true, "this agent no longer leads": false };

/** The node agent's half of IPAM: the product's own, in a process that can die. */
export class Agent {
  readonly #machine: Machine;
  /** Undefined until it was started once. */
  actor: Actor | undefined;
  addresses: Addresses | undefined;
  #starts = 0;
  /** Who waits for an answer, and learns when it dies. */
  readonly #callers = new Set<() => void>();

  constructor(machine: Machine) {
    this.#machine = machine;
  }

  get isAlive(): boolean {
    return this.actor?.isDead === false;
  }

  start(): void {
    if (this.isAlive) return;
    const machine = this.#machine;
    const { simulation, network, settings } = machine.world;
    const actor = machine.process(`agent.${++this.#starts}`);
    this.actor = actor;
    simulation.note(`${actor.name} starts`);
    const say = (level: string) => (fields: object, message: string) => this.#said(actor, level, fields, message);
    const log = { debug() {}, info: say("info"), warn: say("warn") };
    const options = { paths: PATHS, policy: policyOf(machine.name), log, network: accessTo(network, machine) };
    const recorder = new EventRecorder({ log, notes: new Notes() });
    runAs(actor, () => {
      const addresses = new Addresses({ ...options, recorder });
      this.addresses = addresses;
      addresses.start();
      const fencing = { ...addresses.fencing, isOn: () => settings.hasFence, threads: machine.vfs, recorder, log };
      void keepFenced(fencing, new AbortController().signal);
    });
  }

  kill(why: string): void {
    if (!this.isAlive) return;
    const { simulation, counts, random } = this.#machine.world;
    counts.crashes++;
    simulation.note(`${this.actor!.name} killed: ${why}`);
    this.die();
    simulation.after(random.between(50, 5_000), () => this.start(), this.#machine.actor);
  }

  die(): void {
    if (!this.isAlive) return;
    const { disk, streams } = this.#machine;
    this.actor!.isDead = true;
    const machine = this.#machine;
    machine.awayUntilMs = Math.max(machine.awayUntilMs, machine.world.simulation.nowMs + AGENT_STARTS_MS);
    this.addresses = undefined;
    disk.closeAllOf(this.actor!);
    for (const stream of [...streams]) stream.close();
    for (const tell of [...this.#callers]) tell();
  }

  /** @param tell called when it dies. @returns ends that. */
  onDeath(tell: () => void): () => void {
    this.#callers.add(tell);
    return () => void this.#callers.delete(tell);
  }

  #said(actor: Actor, level: string, fields: object, message: string): void {
    if (actor.isDead) return;
    const { simulation, counts, settings, leaders } = this.#machine.world;
    simulation.note(`${actor.name} ${level}: ${message} ${briefly(fields)}`);
    if (level === "warn") counts.warnings++;
    const leads = LEADS[message];
    if (leads !== undefined) leaders.says(actor, leads);
    if (!NET.test(message)) return;
    counts.nets++;
    if (settings.isStrict && !isOfLeader(fields))
      this.#machine.world.fail("caught by a net", `${actor.name}: ${message} ${briefly(fields)}`);
  }
}

/** A new leader reserved it by an old record of a pod that had it until a moment ago: that is what it is to do. */
const isOfLeader = ({ owner, evidence }: { owner?: string; evidence?: string }): boolean =>
  owner === "" || evidence?.includes("then a leader reserved it") === true;

export function briefly(fields: object): string {
  const { err, ...rest } = fields as { err?: Error };
  return `${err ? `${err.message} ` : ""}${JSON.stringify(rest)}`.slice(0, 300);
}
