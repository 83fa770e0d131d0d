import { ETHTOOL_GROUPS, type EthtoolGroup } from "../../../kernel/ethtool.ts";
import { type Link, linkOf, setLink } from "../../../kernel/link.ts";
import type { LinkSettings } from "../../../kernel/link-settings.ts";
import type { Host } from "../../host.ts";
import { isBusy } from "../patience.ts";
import { takeProgramsOff } from "./clean.ts";
import { type LinkStateRecord, readGroup } from "./snapshot.ts";
import { CLEAN, settingsToChange } from "./table.ts";

/**
 * Restores a link's state from the record, in the host's namespace; what an older record lacks is set to the default of a
 * new link. Only differences are requested, and every part is tried even when another failed.
 *
 * @param link as read after it came home.
 * @throws the first failure.
 */
export function restoreState(original: LinkStateRecord, link: Link, host: Host): void {
  const failures: unknown[] = [];
  const attempt = (part: () => void) => {
    try {
      part();
    } catch (error) {
      failures.push(error);
    }
  };
  attempt(() => takeProgramsOff(link, host));
  const changes = settingsToChange({ ...CLEAN, ...original.settings }, link.settings);
  for (const settings of together(changes, link, host)) attempt(() => set(settings, link, host));
  for (const group of ETHTOOL_GROUPS) attempt(() => restoreEthtool(group, original, link, host));
  attempt(() => removeRxRules(original, link, host));
  if (failures.length > 0) throw failures[0];
}

const set = (settings: Partial<LinkSettings>, link: Link, { rtnl }: Host) =>
  rtnl.request(setLink(link.index, { settings }, `restore ${Object.keys(settings).join(", ")} of ${link.name}`));

/** All in one request; if that is refused, one each, so that none blocks the others. */
function together(settings: Partial<LinkSettings>, link: Link, host: Host): Partial<LinkSettings>[] {
  const names = Object.keys(settings) as (keyof LinkSettings)[];
  if (names.length === 0) return [];
  try {
    set(settings, link, host);
    return [];
  } catch {
    return names.map((name) => ({ [name]: settings[name] }));
  }
}

/** Removes rules that were not there at ADD. ioctl(2) needs the link's current name. */
function removeRxRules({ rxRules: wanted = [] }: LinkStateRecord, { index }: Link, { rtnl, rxRules }: Host): void {
  if (!rxRules) return;
  const { name } = rtnl.get(linkOf({ index }));
  for (const location of rxRules.list(name)) if (!wanted.includes(location)) rxRules.remove(name, location);
}

/** Settings that affect only how fast a link is. */
const TUNING: readonly EthtoolGroup[] = ["rings", "channels", "coalescing"];

/**
 * A busy driver is asked again, so its part is owed. What it refuses for good would be owed for ever, and the VF lost for
 * the sake of a number: that is only logged.
 */
function restoreEthtool(
  group: EthtoolGroup,
  { ethtool = {} }: LinkStateRecord,
  { index, name }: Link,
  host: Host,
): void {
  const wanted = ethtool[group];
  const now = wanted && readGroup(index, group, host);
  if (!now) return;
  try {
    host.ethtool?.write(index, group, wanted, now);
  } catch (err) {
    if (isBusy(err) || !TUNING.includes(group)) throw err;
    host.log.warn(
      { link: name, group, wanted, now, err },
      "cannot reset what the last pod set on a VF's link: its driver refuses",
    );
  }
}
