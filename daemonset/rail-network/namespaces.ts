import type { KubeObject } from "../../kubernetes/cluster.ts";
import type { FollowedNetwork } from "./listed.ts";
import { selects } from "./pods.ts";

/** Whether pods of every namespace may use its rails, or it has no `pods`. */
export function selectsAll({ pods }: FollowedNetwork): boolean {
  const { matchLabels = {}, matchExpressions = [] } = pods?.namespaces ?? {};
  return Object.keys(matchLabels).length === 0 && matchExpressions.length === 0;
}

/**
 * A RailNetwork with the names of the namespaces whose pods may use its rails. Pure.
 *
 * @param all undefined while they are not known: then those of `before` hold, or none, and its rails wait for nothing.
 */
export function withNamespaces(
  network: FollowedNetwork,
  all: readonly KubeObject[] | undefined,
  before: readonly FollowedNetwork[] = [],
): FollowedNetwork {
  if (selectsAll(network)) return network;
  const selector = network.pods!.namespaces;
  const selected = all?.filter(({ metadata }) => selects(selector, metadata.labels ?? {}));
  const known = before.find(({ name }) => name === network.name)?.namespaces ?? [];
  return { ...network, namespaces: selected?.map(({ metadata }) => metadata.name).sort() ?? known };
}
