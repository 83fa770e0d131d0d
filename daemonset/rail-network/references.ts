import type { ReferredNetwork, ReferredRail } from "../../cni/reference.ts";
import { acceptRails, type FollowedNetwork } from "./listed.ts";
import type { Expectations, NetworkRail } from "./object.ts";
import { interfaceOf, type PodRules, readPods } from "./pods.ts";

/**
 * The settings of a node's RailNetworks for networks that refer to them: those with `pods`, with the rails that are theirs.
 * Pure.
 */
export function referencesOf(networks: readonly FollowedNetwork[]): ReferredNetwork[] {
  const { accepted } = acceptRails(networks);
  return networks
    .filter(({ pods }) => pods !== undefined)
    .map(({ name, pods, rails, namespaces, expect }) => {
      const rules = tryRead(pods);
      if (typeof rules === "string") return { name, allow: [], rails: [], wrong: rules };
      const own = accepted.filter(({ network }) => network === name);
      return {
        name,
        allow: rules.allow,
        ...(namespaces && { namespaces }),
        rails: own.map(({ rail, entry }) => ({
          name: rail.name,
          resource: rail.resource,
          interface: interfaceOf(rules, rails.indexOf(entry)),
          config: configOf(entry, rules, expect),
        })),
      };
    });
}

function tryRead(pods: unknown): PodRules | string {
  try {
    return readPods(pods);
  } catch (error) {
    return (error as Error).message;
  }
}

/** In the keys of docs/configuration.md. */
function configOf(
  { mtu, rdma, subnet, exclude = [] }: NetworkRail,
  { settings, sameIndex }: PodRules,
  { speedGbps, roceMtu, linkMtu, trafficClass }: Expectations = {},
): ReferredRail["config"] {
  const { trust, spoofchk, ...others } = settings;
  const range = {
    type: "railnet-ipam",
    range: subnet,
    ...(exclude.length > 0 && { exclude }),
    ...(sameIndex && { same_index: true }),
  };
  return {
    ...others,
    trust: trust ? "on" : "off",
    spoofchk: spoofchk ? "on" : "off",
    pinMac: true,
    ...(mtu !== undefined && { mtu }),
    ...(rdma && { rdma: "required" }),
    ...([speedGbps, roceMtu, linkMtu, trafficClass].some((one) => one !== undefined) && {
      expect: { speedGbps, roceMtu, linkMtu, trafficClass },
    }),
    ...(subnet !== undefined && { ipam: range }),
  };
}
