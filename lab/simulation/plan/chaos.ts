import type { Obj } from "../api/objects.ts";
import { CALM, STORMS } from "../network/weather.ts";
import { NAMESPACE, POOLS, RESERVED } from "../world/kinds.ts";
import type { Machine } from "../world/machine.ts";
import { nodeOf } from "../world/pods.ts";
import type { World } from "../world/world.ts";
import { Kills } from "./kills.ts";
import type { Kind, Operation } from "./operations.ts";

/** StatefulSet pods by name: few, so that names come again. */
const STATEFUL = 4;

/** What an operation hits. */
interface Target {
  readonly machine: Machine;
  /** Of any node. */
  readonly pod: Obj | undefined;
  readonly dice: readonly number[];
  /** Mostly short. */
  lasting(minMs: number, maxMs: number): number;
}

/** Does what a plan says. */
export class Chaos {
  readonly #world: World;
  readonly #maxPods: number;
  readonly #kills: Kills;
  #names = 0;
  #isOver = false;

  constructor(world: World, maxPods: number) {
    this.#world = world;
    this.#maxPods = maxPods;
    this.#kills = new Kills(world);
  }

  do({ kind, dice }: Operation): void {
    if (this.#isOver) return;
    const [a = 0, b = 0, c = 0] = dice;
    const machines = [...this.#world.machines.values()];
    const pods = this.#world.pods.all();
    const machine = machines[Math.floor(a * machines.length)]!;
    this.#world.simulation.note(`* ${kind} ${machine.name}`);
    const lasting = (minMs: number, maxMs: number) => minMs + c * c * (maxMs - minMs);
    this.#acts[kind]({ machine, pod: pods[Math.floor(b * pods.length)], dice, lasting });
  }

  /** All trouble is over. */
  end(): void {
    const { simulation, network, server, machines, settings } = this.#world;
    this.#isOver = true;
    simulation.note("* quiet from here on");
    network.isDown = false;
    network.weather = CALM;
    server.serve(RESERVED);
    for (const machine of machines.values()) {
      this.#kills.end(machine);
      machine.disk.isFull = false;
      machine.runtime.patienceMs = Number.POSITIVE_INFINITY;
      machine.runtime.standAloneOdds = 0;
      machine.mend();
      if (!server.etcd.get("nodes", machine.name)) this.#world.makeNode(machine.name);
    }
    this.#world.setMode(settings.mode);
  }

  readonly #acts: Readonly<Record<Kind, (target: Target) => void>> = {
    make: ({ machine }) => this.#make(`job-${this.#names++}`, machine),
    "make-stateful": ({ machine, dice: [, b = 0] }) => {
      const name = `web-${Math.floor(b * STATEFUL)}`;
      if (!this.#world.pods.find(name)) this.#world.pods.make(name, machine.name);
    },
    foreign: ({ machine }) => {
      if (this.#world.settings.mode === "coexist") this.#make(`foreign-${this.#names++}`, machine);
    },
    static: ({ machine, dice: [, b = 0] }) => machine.kubelet.turnStatic(`static-${Math.floor(b * 2)}`),
    delete: ({ pod }) => pod && this.#world.pods.delete(pod),
    force: ({ pod, dice: [, , , d = 0] }) => pod && this.#force(pod, 200 * d),
    finish: ({ pod }) => pod && this.#world.pods.finish(pod),
    restart: ({ pod }) => pod && this.#world.machines.get(nodeOf(pod))!.kubelet.restartSandbox(pod),
    kill: ({ machine }) => machine.agent.kill("at random"),
    "kill-at-call": ({ machine, dice: [, b = 0, c = 0] }) => this.#kills.atCall(machine, 1 + Math.floor(b * b * 30), c),
    "kill-at-write": ({ machine, dice: [, b = 0] }) => this.#kills.atWrite(machine, 1 + Math.floor(b * b * 60)),
    alone: ({ machine, lasting }) => {
      machine.runtime.standAloneOdds = 0.5;
      this.#later(lasting(5_000, 60_000), () => (machine.runtime.standAloneOdds = 0));
    },
    cut: (target) => this.#cut(target, 2_000, 900_000),
    storm: ({ dice: [, b = 0, , d = 0], lasting }) => {
      const { network, settings } = this.#world;
      // What arrives when its sender has given up is for nets.
      const odds = { ...STORMS[Math.floor(b * STORMS.length)]!, ...(settings.isStrict && { late: 0, slow: 0 }) };
      network.weather = { ...network.weather, odds, maxMs: 5 + 500 * d * d };
      this.#later(
        lasting(5_000, 120_000),
        () => (network.weather = { ...CALM, watchLagMs: network.weather.watchLagMs }),
      );
    },
    lag: ({ dice: [, , , d = 0], lasting }) => {
      const { network } = this.#world;
      network.weather = { ...network.weather, watchLagMs: 30_000 * d };
      this.#later(
        lasting(5_000, 300_000),
        () => (network.weather = { ...network.weather, watchLagMs: CALM.watchLagMs }),
      );
    },
    power: ({ machine }) => machine.powerCut(),
    reimage: ({ machine }) => machine.powerCut({ wipes: true }),
    "node-delete": (target) => this.#deleteNode(target),
    "node-lost": ({ machine, dice: [, , c = 0] }) => this.#loseNode(machine, 600_000 + 900_000 * c),
    compact: () => this.#world.server.etcd.compact(),
    "server-restart": ({ lasting }) => this.#restart(lasting(500, 30_000)),
    restore: (target) => this.#restore(target, 0),
    "restore-bumped": (target) => this.#restore(target, 1_000_000),
    crd: ({ lasting }) => {
      const { server } = this.#world;
      this.#world.byHand("loss", () => server.unserve(RESERVED));
      this.#later(lasting(500, 60_000), () => server.serve(RESERVED));
    },
    hand: ({ dice: [, b = 0] }) => this.#removeByHand(RESERVED, b),
    "hand-pool": ({ dice: [, b = 0] }) => this.#removeByHand(POOLS, b),
    "disk-full": ({ machine, lasting }) => {
      machine.disk.isFull = true;
      this.#later(lasting(1_000, 60_000), () => (machine.disk.isFull = false));
    },
    mode: () => {
      const { data } = this.#world.server.etcd.get("configmaps", `${NAMESPACE}/railnet-config`)!;
      this.#world.setMode(data.whereabouts === "absent" ? "coexist" : "absent");
    },
    freeze: ({ machine, lasting }) => {
      const untilMs = this.#world.simulation.nowMs + lasting(1_000, 400_000);
      const { actor } = machine.agent;
      if (actor) actor.frozenUntilMs = Math.max(actor.frozenUntilMs, untilMs);
      machine.awayUntilMs = Math.max(machine.awayUntilMs, untilMs);
    },
    impatient: ({ machine: { runtime }, lasting }) => {
      runtime.patienceMs = lasting(20, 8_000);
      this.#later(60_000, () => (runtime.patienceMs = Number.POSITIVE_INFINITY));
    },
    clock: ({ machine: { clock }, dice: [, b = 0] }) => {
      clock.wallOffsetMs += (b - 0.5) * 86_400_000;
    },
  };

  #make(name: string, { name: node }: Machine): void {
    if (this.#world.pods.all().length < this.#maxPods) this.#world.pods.make(name, node);
  }

  #later(ms: number, run: () => void): void {
    this.#world.simulation.after(ms, run);
  }

  /** A StatefulSet's pod is made anew at once, on any node. */
  #force(pod: Obj, afterMs: number): void {
    const { pods, machines, random } = this.#world;
    const { name } = pod.metadata;
    pods.deleteByForce(pod);
    if (!name.startsWith("web-")) return;
    this.#later(afterMs, () => {
      if (!pods.find(name)) pods.make(name, random.pick([...machines.keys()]));
    });
  }

  #cut({ machine, dice: [, b = 0], lasting }: Target, minMs: number, maxMs: number): void {
    if (machine.isCut) return;
    const cut = { out: b < 0.8, in: b < 0.6 || b >= 0.8 };
    machine.cut(cut);
    this.#later(lasting(minMs, maxMs), () => machine.mend(cut));
  }

  /** `kubectl delete node`: its pods go with it. Cut off or not, it still runs, and comes back under its name. */
  #deleteNode(target: Target): void {
    const {
      machine,
      dice: [, , , d = 0],
      lasting,
    } = target;
    if (d < 0.7) this.#cut(target, 300_000, 1_800_000);
    this.#removeNode(machine, lasting(60_000, 1_800_000));
  }

  /** Nobody hears it, and somebody deletes its object: longer than the leader's patience is. Static pods outlive that. */
  #loseNode(machine: Machine, ms: number): void {
    if (machine.isCut || !this.#world.server.etcd.get("nodes", machine.name)) return;
    const cut = { out: true, in: true };
    machine.cut(cut);
    this.#later(ms, () => machine.mend(cut));
    this.#removeNode(machine, ms);
  }

  #removeNode({ name }: Machine, ms: number): void {
    const { server, pods } = this.#world;
    if (!server.remove("nodes", name)) return; // whoever deleted it brings it back, in their own time
    this.#later(40_000, () => {
      if (server.etcd.get("nodes", name)) return;
      for (const pod of pods.all()) if (nodeOf(pod) === name) this.#force(pod, 1_000);
    });
    this.#later(ms, () => {
      if (!server.etcd.get("nodes", name)) this.#world.makeNode(name);
    });
  }

  #restart(ms: number): void {
    const { server, network } = this.#world;
    network.isDown = true;
    server.watches.end();
    server.etcd.compact();
    this.#later(ms, () => (network.isDown = false));
  }

  #restore({ lasting }: Target, bump: number): void {
    const backup = this.#world.backup();
    this.#later(lasting(1_000, 120_000), () => {
      if (this.#isOver) return;
      this.#restart(2_000);
      this.#world.restore(backup, bump);
    });
  }

  #removeByHand(plural: string, dice: number): void {
    const { server, simulation } = this.#world;
    const keys = [...server.etcd.all(plural).keys()];
    const key = keys[Math.floor(dice * keys.length)];
    if (!key) return;
    simulation.note(`somebody deletes ${plural} ${key}`);
    this.#world.byHand("hand", () => server.remove(plural, key));
  }
}
