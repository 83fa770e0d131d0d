import type { Resource } from "./cluster.ts";

/** `/apis/GROUP/VERSION/namespaces/NAMESPACE/PLURAL/NAME`; without a namespace: all namespaces. */
export function pathTo(resource: Resource, namespace: string, name = ""): string {
  const { group, version, plural, namespaced, subresource } = resource;
  const root = group ? `/apis/${group}/${version}` : `/api/${version}`;
  const scope = namespaced && namespace ? `/namespaces/${encodeURIComponent(namespace)}` : "";
  return `${root}${scope}/${plural}${name && `/${encodeURIComponent(name)}`}${subresource ? `/${subresource}` : ""}`;
}

/** `?a=b&c=d` from the values that are set; empty when none is. */
export function query(parameters: Readonly<Record<string, string | number | undefined>>): string {
  const set = new URLSearchParams();
  for (const [key, value] of Object.entries(parameters))
    if (value !== undefined && value !== "") set.set(key, `${value}`);
  return set.size === 0 ? "" : `?${set}`;
}

const PARTIAL = ";g=meta.k8s.io;v=v1";
/** Values of Accept: everything, or only the metadata of an object or a list. */
export const ACCEPT = {
  all: "application/json",
  metadata: `application/json;as=PartialObjectMetadata${PARTIAL}`,
  metadataList: `application/json;as=PartialObjectMetadataList${PARTIAL}`,
} as const;
