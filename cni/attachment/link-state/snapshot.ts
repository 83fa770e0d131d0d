import { codeOf } from "../../../kernel/errno.ts";
import { ETHTOOL_GROUPS, type EthtoolGroup, type EthtoolSettings } from "../../../kernel/ethtool.ts";
import type { Link } from "../../../kernel/link.ts";
import type { LinkSettings } from "../../../kernel/link-settings.ts";
import type { Host } from "../../host.ts";

/** A link's state besides its names, MAC, MTU and up or down, as the record keeps it. */
export interface LinkStateRecord {
  readonly settings?: Partial<LinkSettings>;
  /** By group; a group that the driver does not have is not requested again. */
  readonly ethtool?: Partial<Record<EthtoolGroup, EthtoolSettings>>;
  /** Locations of the driver's rules for received packets; absent when there are none. */
  readonly rxRules?: readonly number[];
}

/** Reads the driver's part: the rest came with the link. Empty where the kernel has no ethtool over netlink (before 5.6). */
export function linkState(link: Link, host: Pick<Host, "ethtool" | "rxRules">): LinkStateRecord {
  const groups = ETHTOOL_GROUPS.map((group) => [group, readGroup(link.index, group, host)] as const);
  const found = groups.filter(([, settings]) => settings !== undefined);
  const rxRules = host.rxRules?.list(link.name) ?? [];
  return {
    settings: link.settings,
    ...(found.length > 0 && { ethtool: Object.fromEntries(found) }),
    ...(rxRules.length > 0 && { rxRules }),
  };
}

/** @returns undefined where the driver has no such group, or cannot answer now: what is unknown is not restored. */
export function readGroup(
  index: number,
  group: EthtoolGroup,
  { ethtool }: Pick<Host, "ethtool">,
): EthtoolSettings | undefined {
  try {
    return ethtool?.read(index, group);
  } catch (error) {
    if (codeOf(error)) return undefined;
    throw error;
  }
}
