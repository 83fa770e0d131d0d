import type { Call } from "../cni/protocol/request.ts";
import { attachmentKey } from "../records/record-files.ts";

/** Of this process: the first rails' claims of sets that are under way. */
const firsts = new Map<string, Promise<unknown>>();

/**
 * Claims for rails of a set come together. Where they want the same offset in their ranges (`same_index`), the first one finds it,
 * and the others, which look at what it got, wait for that; if it fails, there is no set.
 *
 * @throws {CniError} what `claim` does, or that of the first rail.
 */
export async function inSetOrder<T>(
  { containerId, ifname, set }: Pick<Call, "containerId" | "ifname" | "set">,
  wantsSameIndex: boolean,
  claim: () => Promise<T>,
): Promise<T> {
  if (!set || !wantsSameIndex) return await claim();
  const key = attachmentKey(containerId, set.via);
  if (ifname !== set.rails[0]) {
    await firsts.get(key);
    return await claim();
  }
  const claiming = claim();
  firsts.set(key, claiming);
  try {
    return await claiming;
  } finally {
    if (firsts.get(key) === claiming) firsts.delete(key);
  }
}
