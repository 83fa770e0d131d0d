import type { KubeObject } from "../../kubernetes/cluster.ts";
import { LABEL, type Reservation } from "./objects.ts";

/**
 * On a reservation: when its address was taken from a node that had fallen silent, which is no proof that its sandbox has
 * stopped. During quarantine the address is given out only if its range has nothing else, and only after the rail was
 * probed for it.
 */
export const QUARANTINED = "railnet.io/quarantined";

/** How long an address is in quarantine. */
export const QUARANTINE_MS = 3_600_000;

/** The podref of a reservation without an owner: no pod can have this name. */
const NOBODY = "quarantined";

type Spoken = Pick<KubeObject["metadata"], "annotations">;

/** When it began, undefined for a reservation that never was in quarantine. */
export function quarantinedMs({ annotations }: Spoken): number | undefined {
  const ms = Date.parse(annotations?.[QUARANTINED] ?? "");
  return Number.isNaN(ms) ? undefined : ms;
}

/** Whether a record or reservation is of an address in quarantine; the record alone means nothing. */
export const isNobody = (podref: string): boolean => podref === NOBODY;

/** Whether nobody has the address, and it is in quarantine. */
export const isQuarantined = ({ metadata, spec }: Reservation): boolean =>
  isNobody(spec.podref) && quarantinedMs(metadata) !== undefined;

/**
 * Puts an address into quarantine, as a merge patch that only this version of its reservation accepts.
 *
 * @param sinceMs when it began.
 * @param keepsNode false: none of it remains its node's, so that an agent that is alive after all notices the loss.
 */
export function toQuarantine(
  { resourceVersion }: Pick<KubeObject["metadata"], "resourceVersion">,
  sinceMs: number,
  { keepsNode = false } = {},
): object {
  const noNode = !keepsNode && { [LABEL.node]: null };
  return {
    metadata: {
      resourceVersion,
      labels: { [LABEL.podUid]: null, ...noNode },
      annotations: { [QUARANTINED]: new Date(sinceMs).toISOString(), ...noNode },
    },
    spec: { podref: NOBODY, ifname: "", containerid: "" },
  };
}
