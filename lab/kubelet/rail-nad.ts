import type { Json, RawClient } from "../cluster/raw.ts";

/** Makes a network of namespace `default` whose pods get a VF of a rail, and an address of `10.200.<rail>.0/24`. */
export async function applyRailNad(
  raw: RawClient,
  name: string,
  rail: string,
  more: Json = {},
  resource?: string,
): Promise<void> {
  const config = {
    cniVersion: "1.0.0",
    name,
    type: "railnet-sriov",
    rail,
    ipam: { type: "railnet-ipam", range: `10.200.${rail.replace("rail", "")}.0/24` },
    ...more,
  };
  await applyNad(raw, name, config, resource);
}

/** Makes one network of all rails, of namespace `default`: addresses as {@link applyRailNad}, the same place on every rail. */
export async function applySetNad(
  raw: RawClient,
  name: string,
  rails: readonly string[],
  more: Json = {},
  resource?: string,
): Promise<void> {
  const entries = rails.map((rail) => ({ rail, ipam: { range: `10.200.${rail.replace("rail", "")}.0/24` } }));
  const config = {
    cniVersion: "1.0.0",
    name,
    type: "railnet-sriov",
    ipam: { type: "railnet-ipam", same_index: true },
    rails: entries,
    ...more,
  };
  await applyNad(raw, name, config, resource);
}

async function applyNad(raw: RawClient, name: string, config: object, resource?: string): Promise<void> {
  await raw.apply({
    apiVersion: "k8s.cni.cncf.io/v1",
    kind: "NetworkAttachmentDefinition",
    metadata: {
      name,
      namespace: "default",
      annotations: resource ? { "k8s.v1.cni.cncf.io/resourceName": resource } : {},
    },
    spec: { config: JSON.stringify(config) },
  });
}
