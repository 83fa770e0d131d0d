import type { Place, Side } from "../../cli/bench/rdma/place.ts";
import { Machine } from "../../lab/vm/machine.ts";
import { NODES, startNodes } from "../../lab/vm/nodes.ts";
import type { Task } from "./measure.ts";

const POD = "rdma-bench";
/** The last VF of each rail: tests and demos take the first ones. */
const VF = 3;
const RAILS = [0, 1, 2, 3];

/**
 * Both test machines, those that run or new ones, with a pod each: a namespace with a VF of every rail; soft-RoCE
 * stands in for the RDMA of rails and VFs. Disposing gives all of it back.
 */
export class Machines implements AsyncDisposable {
  readonly #nodes: readonly Machine[];
  readonly #areOurs: boolean;

  private constructor(nodes: readonly Machine[], areOurs: boolean) {
    this.#nodes = nodes;
    this.#areOurs = areOurs;
  }

  static async prepare({ signal, say }: Pick<Task, "signal" | "say">): Promise<Machines> {
    const areRunning = NODES.every(({ name }) => Machine.isRunning(name));
    if (!areRunning) say("two test machines boot: 20 to 60 s");
    const nodes = areRunning ? NODES.map(({ name }) => Machine.attach(name)) : await orAbort(startNodes(), signal);
    const machines = new Machines(nodes, !areRunning);
    try {
      say("a pod on each, soft-RoCE on rails and VFs");
      await machines.#giveBack(); // what a killed run has left
      const make = (node: Machine, i: number) =>
        node.ask(MAKE, { env: { ...SETTINGS, HOST_PART: `${101 + i}` }, signal });
      const made = await Promise.allSettled(nodes.map(make));
      for (const one of made) if (one.status === "rejected") throw one.reason;
    } catch (error) {
      await machines[Symbol.asyncDispose]();
      throw error;
    }
    return machines;
  }

  side(kind: Side["kind"]): Side {
    const enter = kind === "pod" ? ["ip", "netns", "exec", POD] : [];
    const link = (rail: number) => (kind === "pod" ? `net${rail + 1}` : `rail${rail}`);
    return {
      kind,
      places: this.#nodes.map((node) => placeOn(node, enter)) as [Place, Place],
      rails: new Map(RAILS.map((rail) => [`rail${rail}`, [link(rail), link(rail)]])),
    };
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (this.#areOurs) await Promise.all(this.#nodes.map((node) => node.stop()));
    else await this.#giveBack();
  }

  async #giveBack(): Promise<void> {
    await Promise.all(this.#nodes.map((node) => node.ask(GIVE_BACK, { env: SETTINGS })));
  }
}

/** Machines that boot end with this process. */
function orAbort<T>(work: Promise<T>, signal: AbortSignal): Promise<T> {
  const aborted = new Promise<never>((_, reject) => {
    signal.addEventListener("abort", () => reject(signal.reason), { once: true });
  });
  return Promise.race([work, aborted]);
}

const placeOn = (node: Machine, enter: readonly string[]): Place => ({
  name: node.name,
  sh: (text, { signal, limitMs }) => node.exec([...enter, "sh", "-c", text], { signal, timeoutMs: limitMs }),
});

const SETTINGS = { POD, VF: `${VF}`, RAILS: RAILS.join(" ") };

/** Soft-RoCE in a namespace is made there, once its link is there. */
const MAKE = `
  set -e
  rdma system | grep -q 'netns shared' || { echo "RDMA is in exclusive mode: rdma system set netns shared" >&2; exit 1; }
  ip netns add $POD; ip -n $POD link set lo up
  for r in $RAILS; do
    rdma link add bench-host$r type rxe netdev rail$r
    ip link set rail\${r}v$VF netns $POD name net$((r + 1))
    ip -n $POD addr add 192.168.$r.$HOST_PART/24 dev net$((r + 1)); ip -n $POD link set net$((r + 1)) up
    ip netns exec $POD rdma link add bench-pod$r type rxe netdev net$((r + 1))
  done`;

/** In any state that a run has left, also twice. */
const GIVE_BACK = `
  for r in $RAILS; do rdma link delete bench-host$r 2> /dev/null; done
  [ -e /run/netns/$POD ] || exit 0
  for r in $RAILS; do
    ip netns exec $POD rdma link delete bench-pod$r 2> /dev/null
    ip -n $POD link set net$((r + 1)) down 2> /dev/null
    ip -n $POD link set net$((r + 1)) netns 1 name rail\${r}v$VF 2> /dev/null
  done
  ip netns del $POD 2> /dev/null || [ ! -e /run/netns/$POD ]`;
