import { dispatch } from "../../../cni/protocol/dispatch.ts";
import { ipam } from "../../../ipam/plugin.ts";
import { standAloneHost } from "../../../ipam/stand-alone-host.ts";
import type { Obj } from "../api/objects.ts";
import { type Actor, isKilled, runAs } from "../core/actor.ts";
import { briefly } from "./agent.ts";
import { accessTo, PATHS, policyOf } from "./edges.ts";
import type { Machine } from "./machine.ts";
import { isForeign } from "./pods.ts";
import type { Rail } from "./world.ts";

export interface Answer {
  readonly exit: number;
  readonly stdout: string;
}

/** An interface of a sandbox, as a CNI call names it. */
export interface Attachment {
  readonly pod: Obj;
  readonly containerId: string;
  readonly ifname: string;
  readonly netns: string;
  readonly rail: Rail;
}

const FAILED = (stdout: string): Answer => ({ exit: 11, stdout });

/** What calls the CNI plugin: the agent answers, or without one an executable of its own. */
export class Runtime {
  readonly #machine: Machine;
  /** After this at the most an ADD is given up, and DEL called beside it. */
  patienceMs = Number.POSITIVE_INFINITY;
  /** Of ten calls so many do not ask the agent: somebody calls the executable by another path. */
  standAloneOdds = 0;
  #processes = 0;
  readonly #alone = new Map<Actor, (answer: Answer) => void>();

  constructor(machine: Machine) {
    this.#machine = machine;
  }

  async call(verb: "ADD" | "DEL", attachment: Attachment): Promise<Answer> {
    const { world, agent } = this.#machine;
    await world.simulation.sleep(world.random.between(0.5, 3));
    const { pod, ifname, containerId } = attachment;
    if (isForeign(pod)) return this.#machine.whereabouts.call(verb, attachment);
    const what = `${this.#machine.name} ${verb} ${pod.metadata.name} ${ifname} ${containerId.slice(0, 8)}`;
    const isAlone = !agent.isAlive || world.random.chance(this.standAloneOdds);
    world.simulation.note(`${what}${isAlone ? " by itself" : ""}`);
    const answer = await (isAlone ? this.#byItself(verb, attachment) : this.#byAgent(verb, attachment));
    world.simulation.note(`${what} -> ${answer.exit} ${verb === "ADD" ? answer.stdout.slice(0, 160) : ""}`);
    return answer;
  }

  /** A stand-alone process dies. */
  kill(process: Actor, why: string): void {
    const tell = this.#alone.get(process);
    if (!tell) return;
    this.#machine.world.counts.crashes++;
    this.#machine.world.simulation.note(`${process.name} killed: ${why}`);
    this.#end(process);
    tell(FAILED("killed"));
  }

  /** The machine stops. */
  die(): void {
    for (const process of [...this.#alone.keys()]) this.#end(process);
  }

  get processes(): Iterable<Actor> {
    return this.#alone.keys();
  }

  async #byAgent(verb: "ADD" | "DEL", attachment: Attachment): Promise<Answer> {
    const { world, agent, actor: machine } = this.#machine;
    const { actor, addresses } = agent;
    const { promise, resolve } = Promise.withResolvers<Answer>();
    const gone = new AbortController();
    const forget = agent.onDeath(() => resolve(FAILED("the agent died")));
    if (verb === "ADD" && this.patienceMs < Number.POSITIVE_INFINITY)
      world.simulation.after(
        this.patienceMs * world.random.next(),
        () => {
          resolve(FAILED("given up by the runtime"));
          if (world.random.chance(0.5)) runAs(actor!, () => gone.abort());
        },
        machine,
      );
    const answering = runAs(actor!, () => addresses!.answer(requestOf(verb, attachment), gone.signal));
    this.#tellWhenDone(answering, actor!, resolve);
    return promise.finally(forget);
  }

  /** A process of its own, which ends with its answer. */
  async #byItself(verb: "ADD" | "DEL", attachment: Attachment): Promise<Answer> {
    const { name, world } = this.#machine;
    const process = this.#machine.process(`cni.${++this.#processes}`);
    world.counts.standAlone++;
    const { promise, resolve } = Promise.withResolvers<Answer>();
    this.#alone.set(process, resolve);
    const say = (level: string) => (fields: object, message: string) => {
      if (!process.isDead) world.simulation.note(`${process.name} ${level}: ${message} ${briefly(fields)}`);
    };
    const log = { debug() {}, info: say("info"), warn: say("warn") };
    const options = { paths: PATHS, policy: policyOf(name), log, network: accessTo(world.network, this.#machine) };
    const answering = runAs(process, () => dispatch(ipam, requestOf(verb, attachment), () => standAloneHost(options)));
    this.#tellWhenDone(answering, process, (answer) => {
      this.#end(process);
      resolve(answer);
    });
    return promise;
  }

  #tellWhenDone(answering: Promise<Answer>, process: Actor, tell: (answer: Answer) => void): void {
    answering.then(
      (answer) => this.#machine.world.simulation.after(0.1, () => tell(answer), process),
      (error) => {
        if (!isKilled(error)) throw error;
      },
    );
  }

  #end(process: Actor): void {
    process.isDead = true;
    this.#alone.delete(process);
    this.#machine.disk.closeAllOf(process);
  }
}

function requestOf(verb: "ADD" | "DEL", { pod, containerId, ifname, netns, rail }: Attachment) {
  const { name, namespace, uid } = pod.metadata;
  const args = {
    K8S_POD_NAMESPACE: namespace,
    K8S_POD_NAME: name,
    K8S_POD_INFRA_CONTAINER_ID: containerId,
    K8S_POD_UID: uid,
  };
  const env = {
    CNI_COMMAND: verb,
    CNI_CONTAINERID: containerId,
    CNI_IFNAME: ifname,
    CNI_NETNS: netns,
    CNI_PATH: "/opt/cni/bin",
    CNI_ARGS: ["IgnoreUnknown=1", ...Object.entries(args).map(([key, value]) => `${key}=${value}`)].join(";"),
  };
  const config = {
    cniVersion: "1.0.0",
    name: rail.name,
    type: "railnet-sriov",
    ipam: { type: "railnet-ipam", ...rail.ipam },
  };
  return { name: "railnet-ipam", env, stdin: JSON.stringify(config) };
}
