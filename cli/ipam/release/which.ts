import type { HeldAddress } from "../addresses.ts";
import { UsageError } from "../options.ts";

/** What to release: one address, or those of a pod. */
export interface Which {
  /** Canonical. */
  readonly ip: string | undefined;
  readonly podref: string | undefined;
  readonly network: string | undefined;
  /** Even of a running pod. */
  readonly force: boolean;
}

export interface ReleaseOutcome {
  readonly ip: string;
  readonly network: string;
  readonly podref: string;
  readonly ifname: string;
  readonly outcome: "released" | "refused" | "changed";
  readonly why: string;
}

/**
 * The addresses that are meant. Pure.
 *
 * @throws {UsageError} if an address exists in several networks and none was named.
 */
export function meant(addresses: readonly HeldAddress[], { ip, podref, network }: Which): HeldAddress[] {
  const found = addresses.filter(
    (one) =>
      (ip === undefined || one.ip === ip) &&
      (podref === undefined || one.podref === podref) &&
      (network === undefined || one.network === network),
  );
  const networks = [...new Set(found.map((one) => one.network))];
  if (ip !== undefined && networks.length > 1)
    throw new UsageError(
      `cannot tell which ${ip} is meant: networks ${networks.map((n) => JSON.stringify(n)).join(" and ")} have it; give --network`,
    );
  return found;
}

export const outcomeOf = (
  { ip, network, podref, ifname }: HeldAddress,
  outcome: ReleaseOutcome["outcome"],
  why = "",
): ReleaseOutcome => ({
  ...{ ip, network, podref, ifname },
  ...{ outcome, why },
});
