import type { Rail } from "../rails/config.ts";
import { RAIL_NETWORKS, type RailNetwork } from "./object.ts";

/** The RailNetwork equivalent to a list of rails. Defaults are omitted. Pure. */
export const toRailNetwork = (name: string, rails: readonly Rail[]): RailNetwork => ({
  apiVersion: `${RAIL_NETWORKS.group}/${RAIL_NETWORKS.version}`,
  kind: RAIL_NETWORKS.kind,
  metadata: { name },
  spec: {
    rails: rails.map(({ name, pf, vfs, rdma, resource }) => ({
      name,
      pf: Object.fromEntries(Object.entries(pf).filter(([, words]) => words.length > 0)),
      ...(vfs > 0 && { vfs }),
      ...(rdma && { rdma }),
      ...(resource !== `railnet.io/${name}` && { resource }),
    })),
  },
});
