import type { Json } from "../../support/raw.ts";
import type { Worker } from "./worker.ts";

/** PFs and, behind `railnet.io/`, resources. */
export const RAILS = ["rail0", "rail1", "rail2", "rail3"];
/** Of each rail. */
export const VFS = 4;
/** Key `rails` of the ConfigMap. */
export const RAILS_CONFIG = RAILS.map((name) => `- { name: ${name}, vfs: ${VFS}, pf: { names: [${name}] } }\n`).join(
  "",
);

/** `railnet.io/rail0: 4`, …: what the node offers to pods. */
export async function allocatable(worker: Worker): Promise<Json> {
  const { allocatable } = (await worker.object()).status;
  return Object.fromEntries(Object.entries(allocatable).filter(([name]) => name.startsWith("railnet.io/")));
}
