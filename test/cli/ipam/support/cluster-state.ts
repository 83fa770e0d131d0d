import type { PodsState } from "../../../../cli/ipam/audit/entries.ts";
import { usedBy } from "../../../../cli/ipam/audit/read-pods.ts";
import { type IpamSnapshot, locate } from "../../../../cli/ipam/snapshot.ts";
import type { Mode } from "../../../../ipam/mode.ts";
import type { IpPool, Reservation } from "../../../../ipam/whereabouts/objects.ts";

export const NOW_MS = Date.parse("2026-01-10T12:00:00Z");
const OLD = "2026-01-10T11:00:00Z";

/** `podref`, or `podref interface` (default net1; `-` for none), or `podref interface containerID`. */
type OwnerText = string;

function ownerOf(text: OwnerText) {
  const [podref = "", ifname = "net1", id = `c-${podref.replace(/.*\//, "")}`] = text.split(" ");
  return { podref, ifname: ifname === "-" ? "" : ifname, id };
}

export interface PoolText {
  readonly range: string;
  readonly adopted?: boolean;
  readonly records?: Readonly<Record<string, OwnerText>>;
}

/** A reservation by name: its owner alone, as Whereabouts writes it, or with what Railnet adds. */
export type ReservationText =
  | OwnerText
  | {
      readonly of: OwnerText;
      readonly pool: string;
      readonly network?: string;
      readonly node?: string;
      readonly uid?: string;
      readonly since?: string;
    };

export interface StateText {
  readonly mode?: Mode;
  readonly pools?: Readonly<Record<string, PoolText>>;
  readonly reservations?: Readonly<Record<string, ReservationText>>;
  /** UID `uid-NAME` of pods in `default`; a phase in the end: `worker-0 Succeeded`; addresses as `net1=10.0.0.1`. */
  readonly pods?: readonly string[];
}

/** A cluster's state from short texts. */
export function stateOf({ mode = "absent", pools = {}, reservations = {}, pods = [] }: StateText): {
  snapshot: IpamSnapshot;
  pods: PodsState;
} {
  const located = locate(Object.entries(pools).map(toPool), [], Object.entries(reservations).map(toReservation));
  return { snapshot: { mode, ...located }, pods: toPods(pods) };
}

function toPool([name, { range, adopted = false, records = {} }]: [string, PoolText]): IpPool {
  const allocations = Object.entries(records).map(([key, text]) => {
    const { podref, ifname, id } = ownerOf(text);
    return [key, { id, podref, ...(ifname && { ifname }) }];
  });
  const annotations = adopted ? { "railnet.io/adopted": OLD } : {};
  return { metadata: { name, annotations }, spec: { range, allocations: Object.fromEntries(allocations) } };
}

function toReservation([name, text]: [string, ReservationText]): Reservation {
  const ours = typeof text === "string" ? undefined : text;
  const { podref, ifname, id } = ownerOf(typeof text === "string" ? text : text.of);
  const { pool = "", network = "", node = "", uid = "", since = OLD } = ours ?? {};
  return {
    metadata: {
      name,
      ...{ uid: `uid-of-${name}`, resourceVersion: "7", creationTimestamp: since },
      ...(ours && {
        labels: { "railnet.io/network": network, ...(uid && { "railnet.io/pod-uid": uid }) },
        annotations: { "railnet.io/pool": pool, ...(node && { "railnet.io/node": node }) },
      }),
    },
    spec: { podref, ifname, ...(ours && { containerid: id }) },
  };
}

function toPods(texts: readonly string[]): PodsState {
  const parts = texts.map((text) => {
    const [name = "", ...rest] = text.split(" ");
    const used = rest.filter((one) => one.includes("=")).map((one) => one.split("="));
    const status = used.map(([ifname, ip]) => ({ interface: ifname, ips: [ip] }));
    const phase = rest.find((one) => !one.includes("=")) ?? "Running";
    return { name, phase, used: usedBy(`default/${name}`, JSON.stringify(status)) };
  });
  const pods = parts.map(({ name, phase }) => {
    const metadata = { namespace: "default", name, uid: `uid-${name}` };
    return [`default/${name}`, { metadata, status: { phase } }] as const;
  });
  return { pods: new Map(pods), used: parts.flatMap(({ used }) => used) };
}
