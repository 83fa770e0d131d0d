import type { Json, RawClient } from "./raw.ts";

/** A pod as if run by the kubelet of `node`. It has no controller and no kubelet: deletePod() ends it. */
export async function makePod(
  raw: RawClient,
  name: string,
  options: { namespace?: string; node?: string; annotations?: Record<string, string>; phase?: string } = {},
): Promise<Json> {
  const { namespace = "default", node, annotations, phase = "Running" } = options;
  const spec = { containers: [{ name: "main", image: "none" }], ...(node && { nodeName: node }) };
  const metadata = { name, namespace, ...(annotations && { annotations }) };
  await raw.apply({ apiVersion: "v1", kind: "Pod", metadata, spec });
  return raw.merge(`/api/v1/namespaces/${namespace}/pods/${name}/status`, { status: { phase } });
}

export async function deletePod(raw: RawClient, name: string, namespace = "default"): Promise<void> {
  await raw.delete(`/api/v1/namespaces/${namespace}/pods/${name}`);
}

export async function makeNamespace(raw: RawClient, name: string): Promise<void> {
  await raw.apply({ apiVersion: "v1", kind: "Namespace", metadata: { name } });
}

export async function makeNode(raw: RawClient, name: string): Promise<Json> {
  return raw.apply({ apiVersion: "v1", kind: "Node", metadata: { name } });
}
