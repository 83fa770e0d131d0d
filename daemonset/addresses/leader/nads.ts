import { ApiError, type KubeObject, NAMESPACES } from "../../../kubernetes/cluster.ts";
import type { Informer } from "../../../kubernetes/informer.ts";
import { absentMs, beforeAbort, pause } from "../../loop.ts";
import {
  isOurs,
  MANAGED_SELECTOR,
  NADS,
  type Nad,
  type NadAction,
  planNads,
  type Wanted,
} from "../../rail-network/nads.ts";
import type { NetworkVerdict, RailNetwork } from "../../rail-network/object.ts";
import type { Context } from "../context.ts";
import { follow } from "../follow.ts";

/** Between two writes: a thousand namespaces that get their networks are no storm. */
const PAUSE_MS = 50;
/** What changes comes in crowds. */
const SETTLE_MS = 300;
const LOOK_MS = 60_000;
const MAX_NAMES = 5;

type NadsContext = Pick<Context, "cluster" | "log" | "events">;

/**
 * Keeps the networks (NetworkAttachmentDefinitions) that RailNetworks want, for all namespaces; those that somebody wrote stay
 * as they are. Nothing is followed until a RailNetwork has `pods`.
 */
export class LeaderNads {
  readonly #context: NadsContext;
  #wanted: ReadonlyMap<string, Wanted> = new Map();
  /** Why one could not be written, by `namespace/name`: the RailNetwork that it is of, and what the server said. */
  #refused = new Map<string, { readonly network: string; readonly why: string }>();
  #isMultusAbsent = false;
  #said = new Set<string>();
  #hasChanged = false;
  #hasLookedForLeft = false;
  #wake = () => {};

  constructor(context: NadsContext) {
    this.#context = context;
  }

  /** Something has changed: look soon. */
  wake(): void {
    this.#hasChanged = true;
    this.#wake();
  }

  /** Until `signal`. Never rejects. */
  async run(networks: ReadonlyMap<string, RailNetwork>, signal: AbortSignal): Promise<void> {
    while (!signal.aborted && ![...networks.values()].some(hasPods) && !(await this.#isLeftOver(signal)))
      await this.#nextLook(signal);
    if (!(await this.#untilServed(signal))) return;
    const onChange = () => this.wake();
    const namespaces = follow(this.#context, NAMESPACES, { metadataOnly: true, keep: labelsOnly, signal, onChange });
    const nads = follow<Nad>(this.#context, NADS, { namespace: "", keep: whatMatters, signal, onChange });
    if (!(await beforeAbort(Promise.all([namespaces.synced, nads.synced]), signal))) return;
    while (!signal.aborted) {
      try {
        await this.#look(networks, namespaces, nads, signal);
      } catch (err) {
        if (!signal.aborted) this.#context.log.warn({ err }, "networks of RailNetworks could not be written; retrying"); // biome-ignore format: one row
        await pause(5_000, signal);
      }
      await this.#nextLook(signal);
    }
  }

  /** What is to be said at a RailNetwork: nothing of one without `pods`, and before the first look. */
  verdictsOn(name: string): readonly NetworkVerdict[] {
    const verdict = (status: "True" | "False", reason: string, message: string): NetworkVerdict[] => [
      { type: "NetworksMade", status, reason, message },
    ];
    if (this.#isMultusAbsent)
      return verdict("False", "NoMultus", "NetworkAttachmentDefinitions are not served, or Railnet may not use them: install Multus, and this version's manifests/rbac.yaml"); // biome-ignore format: one row
    const wanted = this.#wanted.get(name);
    if (!wanted) return [];
    const { wrong, taken, names, namespaces } = wanted;
    if (wrong !== undefined) return verdict("False", "Invalid", `${wrong}; its networks stay as they were`);
    if (taken.length > 0) return verdict("False", "NamesTaken", `${few(taken)}: ${OTHERS}`);
    const refused = [...this.#refused].filter(([, one]) => one.network === name);
    if (refused.length > 0)
      return verdict("False", "NotWritten", few(refused.map(([key, { why }]) => `${key}: ${why}`)));
    return verdict("True", "AllMade", `${names.join(", ")} in ${namespaces} namespaces`);
  }

  async #look(
    networks: ReadonlyMap<string, RailNetwork>,
    namespaces: Informer<KubeObject>,
    nads: Informer<Nad>,
    signal: AbortSignal,
  ): Promise<void> {
    const world = { networks: [...networks.values()], namespaces: [...namespaces.objects.values()], nads: nads.objects }; // biome-ignore format: one row
    const { actions, wanted } = planNads(world);
    this.#wanted = wanted;
    this.#refused = new Map();
    this.#tellTaken();
    for (const action of actions) {
      if (signal.aborted) return;
      await this.#write(action, signal);
      await pause(PAUSE_MS, signal);
    }
    this.#tellWithdrawn(actions);
    if (actions.length > 0) this.#context.log.info({ ...countsOf(actions) }, "networks of RailNetworks were written");
  }

  /** What is refused for itself holds up no other. @throws {ApiError} when the server does not answer. */
  async #write({ do: what, nad, network }: NadAction, signal: AbortSignal): Promise<void> {
    const { cluster } = this.#context;
    const { namespace, name, uid, labels, annotations, ownerReferences } = nad.metadata;
    const at = { namespace: namespace!, signal };
    try {
      if (what === "create") await cluster.create(NADS, nad, at);
      else if (what === "replace")
        await cluster.mergePatch(NADS, name, { metadata: { labels, annotations, ownerReferences }, spec: nad.spec }, at); // biome-ignore format: one row
      else await cluster.delete(NADS, name, uid === undefined ? {} : { uid }, at);
    } catch (error) {
      if (!(error instanceof ApiError) || error.status < 400 || error.status >= 500 || error.status === 429)
        throw error;
      if (error.status !== 404 && error.status !== 409) this.#refused.set(`${namespace}/${name}`, { network, why: error.message }); // biome-ignore format: one row
    }
  }

  #tellTaken(): void {
    const taken = [...this.#wanted].flatMap(([network, one]) => one.taken.map((key) => ({ network, key })));
    for (const { network, key } of taken)
      if (!this.#said.has(key)) {
        this.#context.log.warn({ network, nad: key }, `a network that a RailNetwork needs exists already: ${OTHERS}`);
        this.#context.events.onRailNetwork("Warning", network, "NetworkNameTaken", `${key}: ${OTHERS}`);
      }
    this.#said = new Set(taken.map(({ key }) => key));
  }

  /** Nothing that runs breaks: Multus keeps what it needs for a DEL. */
  #tellWithdrawn(actions: readonly NadAction[]): void {
    const gone = Map.groupBy(
      actions.filter((action) => action.do === "delete"),
      ({ network }) => network,
    );
    for (const [network, of] of gone) {
      const where = [...new Set(of.map(({ nad }) => nad.metadata.namespace!))];
      this.#context.log.info({ network, namespaces: where }, "networks of a RailNetwork were deleted: running pods keep theirs"); // biome-ignore format: one row
      if (this.#wanted.has(network))
        this.#context.events.onRailNetwork("Normal", network, "NetworksWithdrawn", `in ${few(where)}: running pods keep their rails`); // biome-ignore format: one row
    }
  }

  async #untilServed(signal: AbortSignal): Promise<boolean> {
    for (let absences = 0; !signal.aborted; )
      try {
        await this.#context.cluster.count(NADS, { namespace: "", signal });
        this.#isMultusAbsent = false;
        return true;
      } catch (err) {
        const isAbsent = err instanceof ApiError && [403, 404].includes(err.status);
        if (isAbsent && absences === 0)
          this.#context.log.warn({ err }, "networks of RailNetworks cannot be created: Multus is not installed");
        else this.#context.log.debug({ err }, "it is not known yet whether Multus is installed; retrying");
        this.#isMultusAbsent ||= isAbsent;
        await pause(isAbsent ? absentMs(absences++) : 10_000, signal);
      }
    return false;
  }

  /** A leader before may have ended before it took away what nobody wants any more. */
  async #isLeftOver(signal: AbortSignal): Promise<boolean> {
    if (this.#hasLookedForLeft) return false;
    const selection = { namespace: "", labelSelector: MANAGED_SELECTOR, metadataOnly: true, fromCache: true, signal };
    try {
      const { items } = await this.#context.cluster.list(NADS, selection);
      this.#hasLookedForLeft = true;
      return items.some(isOurs);
    } catch {
      return false; // asked again at the next look
    }
  }

  async #nextLook(signal: AbortSignal): Promise<void> {
    const { promise, resolve } = Promise.withResolvers<void>();
    this.#wake = resolve;
    if (!this.#hasChanged) await Promise.race([promise, pause(LOOK_MS, signal)]);
    await pause(SETTLE_MS, signal);
    this.#hasChanged = false;
  }
}

const OTHERS = "it was not written by Railnet, and stays as it is; rename or delete it, and Railnet creates its own";

const hasPods = ({ spec }: RailNetwork): boolean => spec?.pods !== undefined;

const few = (names: readonly string[]): string =>
  [...names.slice(0, MAX_NAMES), ...(names.length > MAX_NAMES ? [`and ${names.length - MAX_NAMES} more`] : [])].join(", "); // biome-ignore format: one row

const countsOf = (actions: readonly NadAction[]): Record<string, number> =>
  Object.fromEntries([...Map.groupBy(actions, (action) => action.do)].map(([what, of]) => [what, of.length]));

const labelsOnly = ({ metadata }: KubeObject): KubeObject => {
  const { name, uid, resourceVersion, labels, deletionTimestamp } = metadata;
  return { metadata: { name, ...(uid && { uid }), ...(resourceVersion && { resourceVersion }), ...(labels && { labels }), ...(deletionTimestamp && { deletionTimestamp }) } }; // biome-ignore format: one row
};

/** Of others' networks only that they are there: their configurations may be long. */
const whatMatters = (nad: KubeObject): Nad => {
  const { name, namespace, uid, resourceVersion, labels, annotations, ownerReferences } = nad.metadata;
  const identity = { name, ...(namespace && { namespace }), ...(uid && { uid }), ...(resourceVersion && { resourceVersion }) }; // biome-ignore format: one row
  if (!isOurs(nad)) return { metadata: identity };
  const config = (nad as Nad).spec?.config;
  return {
    metadata: { ...identity, ...(labels && { labels }), ...(annotations && { annotations }), ...(ownerReferences && { ownerReferences }) }, // biome-ignore format: one row
    ...(config !== undefined && { spec: { config } }),
  };
};
