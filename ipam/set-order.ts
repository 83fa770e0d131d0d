import type { Call } from "../cni/protocol/request.ts";
import { attachmentKey } from "../records/record-files.ts";

/** In this process: the first rails' claims of sets in progress. */
const firsts = new Map<string, Promise<unknown>>();

/**
 * Claims for rails of a set arrive together. If they want the same offset in their ranges (`same_index`), the first one
 * chooses it and the others, which look at what it got, wait for it; if it fails, so does the set.
 *
 * @throws {CniError} the error of `claim`, or of the first rail.
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
