import type { Claim } from "../../../ipam/store/store.ts";
import { LABEL, type PoolRecord, type Reservation, textOf, toReservation } from "../../../ipam/whereabouts/objects.ts";

/** `fine`: it is that record's claim; `fill`: it is, but lacks fields; `conflict`: another interface has the address. */
export type Judgement = "fine" | "fill" | "conflict";

/** How the reservation of an address relates to its record. Pure. A newer sandbox in the reservation is fine: a claim in between. */
export function judge(record: PoolRecord, { metadata, spec }: Reservation): Judgement {
  if (spec.podref && record.podref && spec.podref !== record.podref) return "conflict"; // otherwise one of them names no owner
  if (spec.ifname && record.ifname && spec.ifname !== record.ifname) return "conflict";
  const isWhole = spec.containerid && textOf(metadata, LABEL.pool) && (spec.podref || !record.podref);
  return isWhole ? "fine" : "fill";
}

/**
 * What is missing in a reservation that Whereabouts made, as a merge patch that only this version of it accepts. Pure.
 * Existing values stay, so that a repeated patch changes nothing.
 */
export function filling(claim: Claim, { metadata, spec }: Reservation): object {
  const whole = toReservation(claim);
  const { resourceVersion, labels, annotations } = metadata;
  return {
    metadata: {
      resourceVersion,
      labels: { ...whole.metadata.labels, ...labels },
      annotations: { ...whole.metadata.annotations, ...annotations },
    },
    spec: { ...whole.spec, ...withoutEmpty(spec) },
  };
}

const withoutEmpty = (object: object): object =>
  Object.fromEntries(Object.entries(object).filter(([, value]) => value));
