import type { VfState } from "../../kernel/vf.ts";
import { toCniError } from "../protocol/error.ts";
import type { Attachment, Original, Owed } from "./record.ts";

/** Parts of a restoration, each tried regardless of the others; those that fail are owed. */
export class Attempts {
  readonly owed: Owed[] = [];

  /** @returns undefined when it failed. */
  async try<T>(part: string, act: () => T | Promise<T>): Promise<T | undefined> {
    try {
      return await act();
    } catch (error) {
      this.fail(part, error);
      return undefined;
    }
  }

  fail(part: string, error: unknown): void {
    this.owed.push({ part, why: toCniError(error).message });
  }
}

/** Parts that concern the link, with the keys of {@link Original} that they need. `link`: it could not be had at all. */
const LINK_PARTS: Readonly<Record<string, readonly (keyof Original)[]>> = {
  link: ["name", "alias", "mtu", "mac", "pinned", "altnames", "up", "settings", "ethtool"],
  name: ["name"],
  alias: ["name", "alias"],
  mtu: ["name", "mtu"],
  mac: ["name", "mac", "pinned"],
  altnames: ["name", "altnames"],
  up: ["name", "up"],
  state: ["name", "settings", "ethtool"],
  rdma: ["rdma", "rdmaIndices"],
};

/**
 * Reduces an attachment to what is owed once all else is done: only that is tried again, so that nothing is reverted that
 * an administrator does to the VF meanwhile. Pure.
 */
export function narrow(a: Attachment, owed: readonly Owed[]): Attachment {
  const { addresses, hasRules, rules, deviceInfoFile, ...rest } = a;
  const applied = appliedOf(a, owed);
  const kept = new Set<string>(owed.flatMap(({ part }) => keysOf(part, a.original)));
  if (Object.keys(applied).length > 0) kept.add("vf");
  const original = Object.fromEntries(Object.entries(a.original).filter(([key]) => kept.has(key)));
  return { ...rest, phase: "claimed", original, applied, owed };
}

/** A part that is unknown here needs everything. */
const keysOf = (part: string, original: Original): readonly string[] =>
  part.startsWith("PF") ? [] : (LINK_PARTS[part] ?? Object.keys(original));

/** `PF`: nothing there could be asked; `PF vlan,qos,proto`: those settings. The MAC there goes with the link's. */
function appliedOf({ applied }: Attachment, owed: readonly Owed[]): Partial<VfState> {
  const parts = owed.map(({ part }) => part);
  const settings = parts.flatMap((part) => (part.startsWith("PF ") ? part.slice(3).split(",") : []));
  const isOwed = (key: string) =>
    key === "mac" ? parts.includes("mac") || parts.includes("link") : parts.includes("PF") || settings.includes(key);
  return Object.fromEntries(Object.entries(applied).filter(([key]) => isOwed(key)));
}

/** For a sentence: `PF maxTxRate (cannot …)`. */
export const inWords = (owed: readonly Owed[]): string => owed.map(({ part, why }) => `${part} (${why})`).join("; ");
