import type { Result } from "../../cni/protocol/result.ts";
import type { IpamConfig } from "./config.ts";

/**
 * The result of an ADD, as Whereabouts returns it: an address per range with the range's mask and the one gateway,
 * whatever its family; then the fixed ones; routes and DNS as configured. No interfaces.
 *
 * @param ips canonical, in the order of `config.ranges`.
 * @param suspect those that may be in use, so that the attach plugin is told to probe the rail first.
 */
export function toResult(
  { ranges, gateway, fixed, routes, dns }: IpamConfig,
  ips: readonly string[],
  suspect: ReadonlySet<string> = new Set(),
): Result {
  const given = ips.map((ip, i) => ({
    address: `${ip}/${ranges[i]!.range.prefixBits}`,
    ...(gateway && { gateway }),
    ...(suspect.has(ip) && { probe: true }),
  }));
  return { interfaces: [], ips: [...given, ...fixed], routes, dns };
}
