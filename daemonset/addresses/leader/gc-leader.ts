import { QUARANTINE_MS } from "../../../ipam/whereabouts/quarantine.ts";
import type { ClusterAddresses, Context } from "../context.ts";
import { isPodref, type Pod, podIsOver, readPod, uidOf } from "../evidence.ts";
import { adoptions, endQuarantine, free, quarantine } from "../free.ts";
import { inParallel } from "../parallel.ts";
import { type GcFinding, planGc, type Suspicions } from "../plan-gc.ts";
import type { Reserved } from "../reserved.ts";
import { GoneNodes, type NodeMemory } from "./gone-nodes.ts";

/** Beside a running Whereabouts every reservation of its own is checked, this many per look in turn. */
const MAX_ASKED = 200;

/**
 * How many addresses left by gone nodes are checked per look, all of a node together: 32,000 addresses of a thousand
 * machines go in one look, once their silence is established. A pod is read once, however many rails it has.
 */
const MAX_LEFT = 40_000;

/** A quarantine is an hour: this many times the grace period. */
const QUARANTINE_GRACES = QUARANTINE_MS / 60_000;

/** How many looks pass between two at the leases of nodes that are gone: nobody waits for that. */
const LEASE_LOOKS = 10;

/** Its node is unknown: for instance, the record of an earlier sandbox outlived its reservation, and a release relied on it. */
const MOVED = "its pod has another address through this pool, in another sandbox";

/**
 * Frees addresses that no node's agent can: those of nodes that are gone and whose agents are silent, and those without a
 * node. For Whereabouts' own, which do not name a sandbox either, only a missing pod is evidence; for ours also a pod that
 * has finished, or has moved on.
 */
export class LeaderGc {
  readonly #context: ClusterAddresses & Pick<Context, "log">;
  readonly #nodes: GoneNodes;
  readonly #graceMs: number;
  #suspicions: Suspicions = new Map();
  /** Names of those that have had their turn, until all have. */
  readonly #asked = new Set<string>();
  #looks = 0;

  /** @param memory what is known of a node. */
  constructor(
    context: ClusterAddresses & Pick<Context, "log">,
    memory: (node: string) => NodeMemory | undefined,
    graceMs: number,
  ) {
    this.#context = context;
    this.#nodes = new GoneNodes(context.cluster, memory, graceMs);
    this.#graceMs = graceMs;
  }

  /**
   * @param all reservations of the cluster.
   * @throws {ApiError | StoreError}
   */
  async look(all: Iterable<Reserved>, signal: AbortSignal): Promise<void> {
    const every = [...all];
    const holders = new Set<string>();
    const left: Reserved[] = [];
    const unknown: Reserved[] = [];
    const over: Reserved[] = [];
    for (const one of every) {
      holders.add(one.node);
      if (this.#isOver(one)) over.push(one);
      if (!isPodref(one.podref) || one.isEnding) continue;
      if (!one.node) unknown.push(one);
      else if (this.#nodes.mayHaveLeft(one)) left.push(one);
    }
    await this.#free(left, unknown, every, signal);
    await this.#endQuarantines(over, signal);
    if (this.#looks++ % LEASE_LOOKS === 0) await this.#nodes.endLeases((node) => holders.has(node), signal);
  }

  async #free(
    left: readonly Reserved[],
    unknown: readonly Reserved[],
    every: readonly Reserved[],
    signal: AbortSignal,
  ): Promise<void> {
    await this.#nodes.listen(new Set(left.map(({ node }) => node)), signal);
    const asked = [...byNode(left).slice(0, MAX_LEFT), ...this.#next(unknown)];
    const isAdopted = adoptions(this.#context, signal);
    const whyUnneeded = (one: Reserved, pod: Pod) => this.#whyUnneeded(one, pod, every, isAdopted);
    const findings = await this.#findings(asked, whyUnneeded, signal);
    const names = new Set(asked.map(nameOf));
    const unseen = new Set([...left, ...unknown].map(nameOf).filter((name) => !names.has(name)));
    const time = { nowMs: performance.now(), graceMs: this.#graceMs };
    const { suspicions, due } = planGc(this.#suspicions, findings, { ...time, unseen });
    this.#suspicions = suspicions;
    await inParallel(due, (one) => (one.isUnproven ? quarantine : free)(one, this.#context, signal, isAdopted));
  }

  async #endQuarantines(over: readonly Reserved[], signal: AbortSignal): Promise<void> {
    await inParallel(over, (one) => endQuarantine(one, this.#context, signal));
  }

  /** For one in quarantine without an owner. */
  #isOver({ podref, quarantinedMs }: Reserved): boolean {
    if (quarantinedMs === undefined || isPodref(podref)) return false;
    return Date.now() - quarantinedMs >= Math.min(QUARANTINE_MS, QUARANTINE_GRACES * this.#graceMs);
  }

  /** Suspects first, then the others in turn. */
  #next(suspects: readonly Reserved[]): Reserved[] {
    const isKnown = (one: Reserved) => this.#suspicions.has(nameOf(one));
    const known = suspects.filter(isKnown).slice(0, MAX_ASKED / 2);
    const others = suspects.filter((one) => !isKnown(one) && !this.#asked.has(nameOf(one)));
    const asked = others.slice(0, MAX_ASKED - known.length);
    if (asked.length === others.length) this.#asked.clear();
    else for (const one of asked) this.#asked.add(nameOf(one));
    return [...known, ...asked];
  }

  /**
   * Why a reservation of ours without a node is no longer needed, although a pod of its name exists. The pod alone proves
   * nothing: the sandbox may belong to an earlier pod of that name, cut off.
   */
  async #whyUnneeded(
    { podref, ifname, pool, containerId }: Reserved,
    pod: Pod,
    every: readonly Reserved[],
    isAdopted: (pool: string) => Promise<boolean>,
  ): Promise<string | undefined> {
    const uid = uidOf(pod);
    const isLater = (one: Reserved) =>
      one.podref === podref &&
      one.pool === pool &&
      one.podUid === uid &&
      one.node !== "" &&
      one.containerId !== containerId &&
      (ifname === "" || one.ifname === ifname);
    if (pool === "" || this.#context.mode() !== "absent") return undefined;
    const why = podIsOver(pod, "") ?? (every.some(isLater) ? MOVED : undefined);
    return why && (await isAdopted(pool)) ? why : undefined;
  }

  async #findings(
    asked: readonly Reserved[],
    whyUnneeded: (one: Reserved, pod: Pod) => Promise<string | undefined>,
    signal: AbortSignal,
  ): Promise<GcFinding[]> {
    const findings: GcFinding[] = [];
    const pods = new Map<string, Promise<Pod | undefined>>();
    const podOf = (podref: string) => {
      const pod = pods.get(podref) ?? readPod(this.#context.cluster, podref, signal);
      pods.set(podref, pod);
      return pod;
    };
    const whyLeft = this.#nodes.inquiry(signal);
    await inParallel(asked, async (reserved) => {
      const { node, podref, podUid } = reserved;
      const pod = await podOf(podref);
      if (!node) {
        const evidence = pod ? await whyUnneeded(reserved, pod) : "its pod does not exist";
        if (evidence) findings.push({ reserved, evidence, isUnproven: pod !== undefined });
        return;
      }
      const evidence = podIsOver(pod, podUid);
      const left = evidence && (await whyLeft(reserved));
      if (left) findings.push({ reserved, evidence: `${left.why}; ${evidence}`, isUnproven: !left.isProven });
    });
    return findings;
  }
}

/** All of a node next to each other; in the same order at every look, so that findings are confirmed. */
const byNode = (left: readonly Reserved[]): Reserved[] =>
  left.toSorted((a, b) => (a.node === b.node ? 0 : a.node < b.node ? -1 : 1));

const nameOf = ({ metadata: { name } }: Reserved): string => name;
