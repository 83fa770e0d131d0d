import { NODES } from "../../ipam/kubernetes/cluster.ts";
import type { Context } from "./context.ts";
import { isPodref, podIsOver, readPod } from "./evidence.ts";
import { free } from "./free.ts";
import { type Node, type NodeState, nodeState } from "./nodes.ts";
import { inParallel } from "./parallel.ts";
import { type Finding, planGc, type Suspicions } from "./plan-gc.ts";
import { Hearing } from "./report.ts";
import type { Reserved } from "./reserved.ts";

/** An agent of a node without a Node object is given up after so many times the grace: it says every 2 minutes that it runs. */
const SILENT_GRACES = 6;

/** Pods that one look asks for. Beside a live Whereabouts every reservation of its own is asked about, so many in turn. */
const MAX_ASKED = 200;

/**
 * Frees addresses that no node's agent can: of nodes that are gone and whose agents are silent, and those that Whereabouts reserved, which say
 * nothing of node or sandbox, so that only a pod that does not exist is evidence.
 */
export class LeaderGc {
  readonly #context: Context;
  readonly #stateOf: (node: string) => NodeState;
  readonly #graceMs: number;
  readonly #hearing = new Hearing();
  #suspicions: Suspicions = new Map();
  /** Names of those that had their turn, until all had it. */
  readonly #asked = new Set<string>();

  /** @param stateOf what is remembered of a node. */
  constructor(context: Context, stateOf: (node: string) => NodeState, graceMs: number) {
    this.#context = context;
    this.#stateOf = stateOf;
    this.#graceMs = graceMs;
  }

  /**
   * @param all reservations of the cluster.
   * @throws {ApiError | StoreError}
   */
  async look(all: Iterable<Reserved>, signal: AbortSignal): Promise<void> {
    const suspects: Reserved[] = [];
    for (const one of all) if (isPodref(one.podref) && this.#isOrphan(one) && !one.isEnding) suspects.push(one);
    const asked = this.#next(suspects);
    const findings = await this.#findings(asked, signal);
    const names = new Set(asked.map(nameOf));
    const unseen = new Set(suspects.map(nameOf).filter((name) => !names.has(name)));
    const time = { nowMs: performance.now(), graceMs: this.#graceMs };
    const { suspicions, due } = planGc(this.#suspicions, findings, { ...time, unseen });
    this.#suspicions = suspicions;
    await inParallel(due, (one) => free(one, this.#context, signal));
  }

  #isOrphan({ node }: Reserved): boolean {
    return !node || this.#stateOf(node) === "gone";
  }

  /** Those under suspicion first, then the others in turn. */
  #next(suspects: readonly Reserved[]): Reserved[] {
    const isKnown = (one: Reserved) => this.#suspicions.has(nameOf(one));
    const known = suspects.filter(isKnown).slice(0, MAX_ASKED / 2);
    const others = suspects.filter((one) => !isKnown(one) && !this.#asked.has(nameOf(one)));
    const asked = others.slice(0, MAX_ASKED - known.length);
    if (asked.length === others.length) this.#asked.clear();
    else for (const one of asked) this.#asked.add(nameOf(one));
    return [...known, ...asked];
  }

  async #findings(asked: readonly Reserved[], signal: AbortSignal): Promise<Finding[]> {
    const findings: Finding[] = [];
    const gone = new Map<string, Promise<string | undefined>>();
    await inParallel(asked, async (reserved) => {
      const { node, podref, podUid } = reserved;
      const pod = await readPod(this.#context.cluster, podref, signal);
      if (!node) {
        if (!pod) findings.push({ reserved, evidence: "its pod does not exist" });
        return;
      }
      const evidence = podIsOver(pod, podUid);
      if (!evidence) return;
      if (!gone.has(node)) gone.set(node, this.#whyGone(node, signal));
      const why = await gone.get(node);
      if (why) findings.push({ reserved, evidence: `${why}; ${evidence}` });
    });
    return findings;
  }

  /** A quorum read: what is remembered of the nodes may lag. */
  async #whyGone(name: string, signal: AbortSignal): Promise<string | undefined> {
    const node = await this.#context.cluster.get<Node>(NODES, name, { signal });
    if (!node) return await this.#whySilent(name, signal);
    return nodeState(node) === "gone" ? `node ${name} is out of service` : undefined;
  }

  /** A node that somebody deleted, or that goes by another name there, may still run; then its agent knows what is over. */
  async #whySilent(name: string, signal: AbortSignal): Promise<string | undefined> {
    const silentMs = SILENT_GRACES * this.#graceMs;
    if ((await this.#hearing.silentMs(this.#context.cluster, name, signal)) < silentMs) return undefined;
    return `node ${name} does not exist, and its agent was not heard of for ${silentMs / 1000} s`;
  }
}

const nameOf = ({ metadata: { name } }: Reserved): string => name;
