import { readFileSync } from "node:fs";
import type { Log } from "../../../cni/host.ts";

/**
 * Key `fence` of the mounted ConfigMap, read at each call: `lease` is on, everything else off.
 *
 * @returns whether the fence is on.
 */
export function fenceSetting(file: string, log: Log): () => boolean {
  let said = "";
  return () => {
    const text = read(file);
    if (!["", "off", "lease"].includes(text) && text !== said)
      log.warn({ file, fence: text.slice(0, 40), want: "lease, off" }, "unknown value of fence: taken for off");
    said = text;
    return text === "lease";
  };
}

/** Empty without the file. */
function read(file: string): string {
  try {
    return readFileSync(file, "utf8").trim();
  } catch {
    return "";
  }
}
