import { isMissing } from "../../kernel/errno.ts";
import { readSysctl, writeSysctl } from "../../kernel/sysctl.ts";
import { RecordFiles } from "../../records/record-files.ts";
import { parseRecord } from "../../records/record-text.ts";

/** A sysctl of this node, and what it shall be while there are routes over rails. */
export interface Setting {
  readonly key: string;
  /** What `IFNAME` in the key stands for. */
  readonly ifname?: string;
  readonly value: string;
}

/** One that was changed. */
interface Changed extends Setting {
  readonly before: string;
}

interface SettingsRecord {
  readonly bootId: string;
  readonly settings: readonly Changed[];
}

/** Where sysctls are; tests give their own. */
export interface Sysctls {
  /** Undefined for one that is not there. */
  read(setting: Setting): string | undefined;
  write(setting: Setting): void;
}

/** Of the network namespace that the thread is in. */
export const SYSCTLS: Sysctls = {
  read({ key, ifname }) {
    try {
      return readSysctl(key, { ifname }).replaceAll(/\s+/g, " ");
    } catch (error) {
      if (isMissing(error)) return undefined;
      throw error;
    }
  },
  write: ({ key, ifname, value }) => writeSysctl(key, value, { ifname }),
};

const NUD_BASE_MS = 3_000;

/**
 * In the order in which they must be there: a peer's first packet by a rail is refused by a strict `rp_filter` (`all` counts only
 * where it is higher), answers to questions about one rail must not come by another, and next hops must be left out before there
 * are any.
 *
 * @param primary the link that has the node's primary address.
 * @param everyMs how often a way is asked: the kernel's own checks come more seldom.
 */
export function wantedSettings(primary: string, rails: readonly string[], everyMs: number): Setting[] {
  const of = (ifname: string, values: Readonly<Record<string, string | number>>): Setting[] =>
    Object.entries(values).map(([key, value]) => ({ key, ifname, value: `${value}` }));
  const conf = "net.ipv4.conf.IFNAME";
  const neigh = "net.ipv4.neigh.IFNAME";
  return [
    ...[primary, ...rails].flatMap((link) => of(link, { [`${conf}.rp_filter`]: 2 })),
    ...rails.flatMap((link) =>
      of(link, {
        [`${conf}.arp_ignore`]: 1,
        [`${conf}.arp_announce`]: 2,
        [`${conf}.accept_redirects`]: 0,
        [`${conf}.send_redirects`]: 0,
        [`${conf}.ignore_routes_with_linkdown`]: 1,
      }),
    ),
    { key: "net.ipv4.fib_multipath_hash_policy", value: "1" },
    { key: "net.ipv4.fib_multipath_use_neigh", value: "1" },
    ...rails.flatMap((link) =>
      of(link, {
        [`${neigh}.base_reachable_time_ms`]: Math.max(NUD_BASE_MS, Math.ceil(3 * everyMs)),
        [`${neigh}.retrans_time_ms`]: 200,
        [`${neigh}.ucast_solicit`]: 3,
        [`${neigh}.delay_first_probe_time`]: 1,
      }),
    ),
  ];
}

const FILE = "settings.json";

/** What was before is on the disk before anything changes, so that a kill at any time leaves the way back. */
export class Settings {
  readonly #files: RecordFiles<SettingsRecord>;
  readonly #bootId: string;
  readonly #sysctls: Sysctls;

  /** @param bootId what another boot changed is gone with it. */
  constructor(dir: string, bootId: string, sysctls: Sysctls = SYSCTLS) {
    const parse = (text: string) => parseRecord(text) as unknown as SettingsRecord;
    this.#files = new RecordFiles(dir, { title: "the settings before", tornPrefix: "routes-", parse });
    this.#bootId = bootId;
    this.#sysctls = sysctls;
  }

  /**
   * Sets what is not so yet, in order. Idempotent. One that this kernel or link does not have is left out.
   *
   * @throws {RecordError} when the disk takes no record: then nothing is changed.
   */
  apply(wanted: readonly Setting[]): void {
    const known = new Map(this.#changed().map((one) => [nameOf(one), one]));
    const due: Setting[] = [];
    for (const setting of wanted) {
      const now = this.#sysctls.read(setting);
      if (now === undefined) continue;
      const before = known.get(nameOf(setting))?.before ?? now;
      if (now !== setting.value) due.push(setting);
      if (now !== setting.value || known.has(nameOf(setting))) known.set(nameOf(setting), { ...setting, before });
    }
    if (due.length === 0 && this.areChanged) return;
    this.#write([...known.values()]);
    for (const setting of due) this.#sysctls.write(setting);
  }

  /** Whether apply() was called and restore() not, in whatever process. */
  get areChanged(): boolean {
    return this.#files.names().includes(FILE);
  }

  /** Puts back what is still as it was set, the last one first; what somebody else has changed since is theirs. Idempotent. */
  restore(): void {
    for (const { before, ...setting } of this.#changed().toReversed())
      if (this.#sysctls.read(setting) === setting.value) this.#sysctls.write({ ...setting, value: before });
    this.#files.forget(FILE);
  }

  #changed(): readonly Changed[] {
    const record = this.#files.read(FILE);
    return record?.bootId === this.#bootId ? record.settings : [];
  }

  #write(settings: readonly Changed[]): void {
    this.#files.write(FILE, JSON.stringify({ version: 1, bootId: this.#bootId, settings }), { synced: true });
  }
}

const nameOf = ({ key, ifname = "" }: Setting): string => `${key} ${ifname}`;
