import type { KubeObject } from "../../kubernetes/cluster.ts";
import { sha256 } from "../../records/sha256.ts";
import type { Claim, Owner } from "../store/store.ts";
import { reservationName } from "./names.ts";

/** One entry of `IPPool.spec.allocations`, in the order in which Whereabouts writes its members. */
export interface PoolRecord {
  /** Container ID. */
  readonly id: string;
  readonly ifname?: string;
  readonly podref: string;
}

/** `ippools.whereabouts.cni.cncf.io`, v1alpha1. */
export interface IpPool extends KubeObject {
  readonly spec: {
    /** The base of the offsets is the literal address here, including host bits. */
    readonly range: string;
    /** Key: decimal |address - base|. */
    readonly allocations: Readonly<Record<string, PoolRecord>>;
  };
}

/** `overlappingrangeipreservations.whereabouts.cni.cncf.io`, v1alpha1: the claim on one address. */
export interface Reservation extends KubeObject {
  readonly spec: { readonly podref: string; readonly ifname?: string; readonly containerid?: string };
}

/** `nodeslicepools.whereabouts.cni.cncf.io`, v1alpha1. */
export interface NodeSlicePool extends KubeObject {
  readonly spec: { readonly range: string; readonly sliceSize: string };
  readonly status?: {
    readonly allocations: readonly {
      /** Empty: free. */
      readonly nodeName: string;
      readonly sliceRange: string;
    }[];
  };
}

/** On an IPPool: every record in it has its reservation, so a reservation alone decides (mode `absent`). */
export const ADOPTED = "railnet.io/adopted";

/**
 * On an IPPool: addresses were claimed in it with `enable_overlapping_ranges: false`, where only the record counts. So
 * its records are not a view of its reservations, and it is never adopted.
 */
export const RECORDS_DECIDE = "railnet.io/records-decide";

/** Value of {@link RECORDS_DECIDE}: reservations once decided, so some may lack a record. */
export const MIXED = "mixed";

/** Labels find a reservation; `spec` and {@link textOf} decide. Each one costs the API server 3 to 5 % of a create. */
export const LABEL = {
  node: "railnet.io/node",
  podUid: "railnet.io/pod-uid",
  network: "railnet.io/network",
  pool: "railnet.io/pool",
} as const;

/**
 * The full value of a reservation's label: an annotation of the same key if the label is a hash. Only then, since each
 * annotation costs the API server 2 to 4 % of a create.
 */
export const textOf = ({ labels, annotations }: KubeObject["metadata"], key: string): string | undefined =>
  annotations?.[key] ?? labels?.[key];

/** A label's value for any text: the text itself where the API allows it (63 characters), else 32 digits of its SHA-256. */
export const labelValue = (text: string): string =>
  /^([A-Za-z0-9]([\w.-]{0,61}[A-Za-z0-9])?)?$/.test(text) ? text : sha256(text).slice(0, 32);

const API_VERSION = "whereabouts.cni.cncf.io/v1alpha1";

export const toIpPool = (
  name: string,
  range: string,
  {
    annotations,
    allocations = {},
  }: { annotations?: Readonly<Record<string, string>> | undefined; allocations?: IpPool["spec"]["allocations"] } = {},
): IpPool => ({
  apiVersion: API_VERSION,
  kind: "IPPool",
  metadata: { name, ...(annotations && { annotations }) },
  spec: { range, allocations },
});

export const toNodeSlicePool = (
  name: string,
  spec: NodeSlicePool["spec"],
  status: NonNullable<NodeSlicePool["status"]>,
): NodeSlicePool => ({ apiVersion: API_VERSION, kind: "NodeSlicePool", metadata: { name }, spec, status });

export function toReservation({ pool, ip, owner }: Claim): Reservation {
  const { podref, ifname, containerId, podUid, node } = owner;
  const texts = { [LABEL.pool]: pool.name, ...(node && { [LABEL.node]: node }) };
  const tooLong = Object.entries(texts).filter(([, text]) => labelValue(text) !== text);
  return {
    apiVersion: API_VERSION,
    kind: "OverlappingRangeIPReservation",
    metadata: {
      name: reservationName(pool.network, ip),
      labels: {
        [LABEL.network]: labelValue(pool.network),
        [LABEL.pool]: labelValue(pool.name),
        ...(podUid && { [LABEL.podUid]: labelValue(podUid) }),
        ...(node && { [LABEL.node]: labelValue(node) }),
      },
      ...(tooLong.length > 0 && { annotations: Object.fromEntries(tooLong) }),
    },
    spec: { podref, ifname, containerid: containerId },
  };
}

export function ownerOfReservation({ metadata, spec }: Reservation): Owner {
  const podUid = metadata.labels?.[LABEL.podUid];
  const node = textOf(metadata, LABEL.node);
  return {
    podref: spec.podref,
    ifname: spec.ifname ?? "",
    containerId: spec.containerid ?? "",
    ...(podUid && { podUid }),
    ...(node && { node }),
  };
}

export const toRecord = ({ podref, ifname, containerId }: Owner): PoolRecord => ({ id: containerId, ifname, podref });

export const ownerOfRecord = ({ id, podref, ifname = "" }: PoolRecord): Owner => ({ podref, ifname, containerId: id });
