import type { Obj, Reply } from "../api/objects.ts";
import { Failed } from "./whereabouts.ts";
import type { World } from "./world.ts";

const LEASES = "/apis/coordination.k8s.io/v1/namespaces/kube-system/leases";

/** As Whereabouts sets client-go's leader election. */
const LEASE_SECONDS = 1;
const RETRY_MS = 100;
const LIMIT_MS = 10_000;

type Send = (method: string, path: string, body?: object) => Promise<Reply>;

/** The lease `whereabouts`, which each call of Whereabouts takes and gives back (client-go, tools/leaderelection). */
export class WhereaboutsTurn {
  readonly #node: string;
  readonly #send: Send;
  readonly #world: World;
  #turns = 0;

  constructor(node: string, send: Send, world: World) {
    this.#node = node;
    this.#send = send;
    this.#world = world;
  }

  /** @throws {Failed} when no turn came in time. */
  async during<T>(work: () => Promise<T>): Promise<T> {
    const identity = `${this.#node}/${++this.#turns}`;
    const held = await this.#take(identity);
    try {
      return await work();
    } finally {
      await this.#put({ ...held, spec: { ...held["spec"], holderIdentity: "" } }).catch(() => {});
    }
  }

  async #take(holderIdentity: string): Promise<Obj> {
    const { simulation, random } = this.#world;
    const seen = { version: "", sinceMs: simulation.nowMs };
    for (const limitMs = simulation.nowMs + LIMIT_MS; simulation.nowMs < limitMs; ) {
      const lease = await this.#get();
      const { holderIdentity: holder = "", leaseTransitions = 0 } = lease?.["spec"] ?? {};
      const version = lease?.metadata.resourceVersion ?? "";
      if (version !== seen.version) Object.assign(seen, { version, sinceMs: simulation.nowMs });
      if (!holder || simulation.nowMs - seen.sinceMs > LEASE_SECONDS * 1000) {
        const renewTime = new Date().toISOString();
        const spec = {
          holderIdentity,
          leaseDurationSeconds: LEASE_SECONDS,
          leaseTransitions: leaseTransitions + 1,
          renewTime,
          acquireTime: renewTime,
        };
        const taken = await this.#put({ ...(lease ?? { metadata: { name: "whereabouts" } }), spec });
        if (taken) return taken;
      }
      await simulation.sleep(RETRY_MS * (1 + random.next()));
    }
    throw new Failed("no turn");
  }

  async #get(): Promise<Obj | undefined> {
    const { status, body } = await this.#send("GET", `${LEASES}/whereabouts`);
    return status === 200 ? JSON.parse(body) : undefined;
  }

  async #put(lease: object): Promise<Obj | undefined> {
    const isNew = !("resourceVersion" in (lease as Obj).metadata);
    const [method, path] = isNew ? ["POST", LEASES] : ["PUT", `${LEASES}/whereabouts`];
    const { status, body } = await this.#send(method!, path!, lease);
    return status < 300 ? JSON.parse(body) : undefined;
  }
}
