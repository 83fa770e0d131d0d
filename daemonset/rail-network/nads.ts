import type { KubeObject, ObjectMeta, Resource } from "../../kubernetes/cluster.ts";
import { RAIL_NETWORKS, type RailNetwork } from "./object.ts";
import { type PodRules, readPods, selects } from "./pods.ts";

/** Multus' networks: the definition is not ours, and may be missing. */
export const NADS: Resource = {
  group: "k8s.cni.cncf.io",
  version: "v1",
  plural: "network-attachment-definitions",
  kind: "NetworkAttachmentDefinition",
  namespaced: true,
};

export interface Nad extends KubeObject {
  readonly spec?: { readonly config?: string };
}

/** Marks the leader's networks, for selectors. */
const MANAGED = { "app.kubernetes.io/managed-by": "railnet" } as const;
export const MANAGED_SELECTOR = "app.kubernetes.io/managed-by=railnet";
/** The namespace for which the leader made one: a copy elsewhere, which has the label too, is its author's. */
const MADE_FOR = "railnet.io/made-for";
const RESOURCE_NAME = "k8s.v1.cni.cncf.io/resourceName";
/** The device plugin's: one VF of each rail. */
const SET_RESOURCE = "railnet.io/rails";

/** The inputs for the networks of all namespaces. */
export interface NadWorld {
  readonly networks: readonly RailNetwork[];
  readonly namespaces: readonly KubeObject[];
  /** All, by `namespace/name`; for those that are not ours `metadata` is enough. */
  readonly nads: ReadonlyMap<string, Nad>;
}

export interface NadAction {
  readonly do: "create" | "replace" | "delete";
  readonly nad: Nad;
  /** Its RailNetwork. */
  readonly network: string;
}

/** The networks that a RailNetwork needs. */
export interface Wanted {
  /** Why nothing changes: `pods` cannot be read. */
  readonly wrong?: string;
  /** In each of this many namespaces. */
  readonly names: readonly string[];
  readonly namespaces: number;
  /** `namespace/name` of those that others have written. */
  readonly taken: readonly string[];
}

export interface NadPlan {
  readonly actions: readonly NadAction[];
  /** By the RailNetwork's name; only those with `pods`. */
  readonly wanted: ReadonlyMap<string, Wanted>;
}

/**
 * What makes the leader's networks those that the RailNetworks need: one for each rail, and with sets one for all, in each
 * selected namespace. A RailNetwork whose `pods` cannot be read keeps those that it has. If two need the same name, the
 * older one gets it. Pure.
 */
export function planNads({ networks, namespaces, nads }: NadWorld): NadPlan {
  const wanted = new Map<string, Wanted>();
  const all = new Map<string, Nad>();
  for (const network of networks.toSorted((a, b) => (age(a) < age(b) ? -1 : 1))) {
    const rules = rulesOf(network);
    if (rules === undefined) continue;
    const { name } = network.metadata;
    if (typeof rules === "string") {
      wanted.set(name, { wrong: rules, names: [], namespaces: 0, taken: [] });
      continue;
    }
    const contents = contentsOf(network, rules);
    const open = namespaces.filter((one) => !isEnding(one) && selects(rules.namespaces, one.metadata.labels ?? {}));
    const made = open.flatMap(({ metadata }) => contents.map((one) => toNad(network, metadata.name, one)));
    const isTaken = (key: string) => all.has(key) || (nads.has(key) && !isOurs(nads.get(key)!));
    const taken = made.map(keyOf).filter(isTaken);
    for (const nad of made) if (!isTaken(keyOf(nad))) all.set(keyOf(nad), nad);
    wanted.set(name, { names: contents.map((one) => one.name), namespaces: open.length, taken });
  }
  return { actions: [...withdrawals({ namespaces, nads }, all, wanted), ...changes(nads, all)], wanted };
}

function changes(nads: NadWorld["nads"], all: ReadonlyMap<string, Nad>): NadAction[] {
  return [...all].flatMap(([key, nad]): NadAction[] => {
    const there = nads.get(key);
    if (!there) return [{ do: "create", nad, network: networkOf(nad) }];
    return isSame(there, nad) ? [] : [{ do: "replace", nad, network: networkOf(nad) }];
  });
}

/** Those in a namespace that is being deleted go with it. */
function withdrawals(
  { namespaces, nads }: Pick<NadWorld, "namespaces" | "nads">,
  all: ReadonlyMap<string, Nad>,
  wanted: NadPlan["wanted"],
): NadAction[] {
  const ending = new Set(namespaces.filter(isEnding).map(({ metadata }) => metadata.name));
  return [...nads]
    .filter(([key, nad]) => !all.has(key) && isOurs(nad) && !ending.has(nad.metadata.namespace!))
    .filter(([, nad]) => wanted.get(networkOf(nad))?.wrong === undefined)
    .map(([, nad]): NadAction => ({ do: "delete", nad, network: networkOf(nad) }));
}

const isEnding = ({ metadata }: KubeObject): boolean => metadata.deletionTimestamp !== undefined;

/** Created by a leader, and still where it was created. */
export const isOurs = ({ metadata }: KubeObject): boolean =>
  metadata.labels?.["app.kubernetes.io/managed-by"] === MANAGED["app.kubernetes.io/managed-by"] &&
  metadata.annotations?.[MADE_FOR] === `${metadata.namespace}/${metadata.name}`;

/** Of one of ours. */
const networkOf = ({ metadata }: KubeObject): string => metadata.labels?.["railnet.io/network"] ?? "";

const keyOf = ({ metadata: { namespace, name } }: KubeObject): string => `${namespace}/${name}`;

const age = ({ metadata: { creationTimestamp = "", name } }: RailNetwork): string => `${creationTimestamp} ${name}`;

/** @returns undefined without `pods`; a text if they cannot be read. */
function rulesOf({ spec }: RailNetwork): PodRules | string | undefined {
  if (spec?.pods === undefined) return undefined;
  try {
    return readPods(spec.pods);
  } catch (error) {
    return (error as Error).message;
  }
}

interface Content {
  readonly name: string;
  readonly resource: string;
  readonly config: object;
}

/** @returns name, resource and configuration of each network: a reference, and which capabilities Multus may pass on. */
function contentsOf({ metadata: { name: network }, spec }: RailNetwork, { allow }: PodRules): Content[] {
  const capabilities = Object.fromEntries(["ips", "mac"].filter((one) => allow.includes(one as never)).map((one) => [one, true])); // biome-ignore format: one row
  const config = (name: string, rail?: string) => ({
    cniVersion: "1.0.0",
    name,
    type: "railnet-sriov",
    network,
    ...(rail !== undefined && { rail }),
    ...(Object.keys(capabilities).length > 0 && { capabilities }),
  });
  const single = spec.rails.map(({ name: rail, resource = `railnet.io/${rail}` }) => {
    const name = `${network}-${rail}`;
    return { name, resource, config: config(name, rail) };
  });
  return (spec.sets ?? 0) > 0
    ? [{ name: network, resource: SET_RESOURCE, config: config(network) }, ...single]
    : single;
}

function toNad(network: RailNetwork, namespace: string, { name, resource, config }: Content): Nad {
  const { group, version, kind } = RAIL_NETWORKS;
  const { name: owner, uid } = network.metadata;
  return {
    apiVersion: `${NADS.group}/${NADS.version}`,
    kind: NADS.kind,
    metadata: {
      name,
      namespace,
      labels: { ...MANAGED, "railnet.io/network": owner },
      annotations: { [MADE_FOR]: `${namespace}/${name}`, [RESOURCE_NAME]: resource },
      ...(uid && { ownerReferences: [{ apiVersion: `${group}/${version}`, kind, name: owner, uid }] }),
    },
    spec: { config: JSON.stringify(config) },
  };
}

/** In what matters; others may have added labels and annotations. */
function isSame(there: Nad, want: Nad): boolean {
  const has = (a: ObjectMeta["labels"] = {}, b: ObjectMeta["labels"] = {}) =>
    Object.entries(b).every(([key, value]) => a[key] === value);
  return (
    there.spec?.config === want.spec!.config &&
    has(there.metadata.labels, want.metadata.labels) &&
    has(there.metadata.annotations, want.metadata.annotations) &&
    (want.metadata.ownerReferences ?? []).every(({ uid }) =>
      there.metadata.ownerReferences?.some((one) => one.uid === uid),
    )
  );
}
