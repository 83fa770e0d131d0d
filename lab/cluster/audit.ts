import { readFileSync } from "node:fs";
import type { Json } from "./raw.ts";

/** One request that an API server has answered. */
export interface Audited {
  /** Without `system:serviceaccount:NAMESPACE:`. */
  readonly user: string;
  readonly verb: string;
  readonly resource: string;
  readonly name: string;
  readonly status: number;
}

/** The audit log of an API server started with `audit`: what its clients did, in the order of the answers. */
export function readAudit({ folder }: { readonly folder: string }): Audited[] {
  const lines = readFileSync(`${folder}/audit.log`, "utf8").split("\n").slice(0, -1);
  return lines.map((line) => {
    const { user, verb, objectRef = {}, responseStatus = {} }: Json = JSON.parse(line);
    const { resource = "", name = "" } = objectRef;
    return { user: user.username.replace(/^.*:/, ""), verb, resource, name, status: responseStatus.code ?? 0 };
  });
}
