import type { Json } from "../../../../lab/cluster/raw.ts";

/** A RailNetwork. */
export const network = (name: string, rails: readonly Json[], more: Json = {}): Json => ({
  apiVersion: "railnet.io/v1alpha1",
  kind: "RailNetwork",
  metadata: { name },
  spec: { rails, ...more },
});
/** Its n-th rail, with 8 VFs. */
export const rail = (n: number, more: Json = {}): Json => ({
  name: `rail${n}`,
  pf: { names: [`rntest${n}`] },
  vfs: 8,
  ...more,
});
/** `spec.pods` for all namespaces. */
export const pods = (more: Json): Json => ({ namespaces: {}, ...more });
