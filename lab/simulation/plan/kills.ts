import { type Actor, currentActor } from "../core/actor.ts";
import { PHASES, type Phase } from "../network/network.ts";
import type { Machine } from "../world/machine.ts";
import type { World } from "../world/world.ts";

interface Appointed {
  readonly machine: Machine;
  readonly phase: Phase;
  /** Requests left. */
  left: number;
}

/** Processes that die at a point of their work: at a request, or at a write to the disk. */
export class Kills {
  #atCalls: Appointed[] = [];

  constructor({ network }: World) {
    network.onPhase = (actor, phase) => this.#passed(actor, phase);
  }

  /** The process that sends the nth request of a machine from now on. */
  atCall(machine: Machine, calls: number, dice: number): void {
    this.#atCalls.push({ machine, phase: PHASES[Math.floor(dice * PHASES.length)]!, left: calls });
  }

  atWrite(machine: Machine, writes: number): void {
    let left = writes;
    machine.disk.onChange = (what) => {
      if (--left > 0) return;
      const running = currentActor()!;
      machine.disk.onChange = () => {};
      machine.kill(running, `at ${what}`);
    };
  }

  end(machine: Machine): void {
    this.#atCalls = this.#atCalls.filter((one) => one.machine !== machine);
    machine.disk.onChange = () => {};
  }

  #passed(actor: Actor, phase: Phase): void {
    for (const one of this.#atCalls) {
      if (one.machine !== actor.place || one.phase !== phase || --one.left > 0) continue;
      this.#atCalls = this.#atCalls.filter((other) => other !== one);
      one.machine.kill(actor, `at a request, ${phase}`);
    }
  }
}
