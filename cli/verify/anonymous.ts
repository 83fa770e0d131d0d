import { canonicalIp } from "../../cni/protocol/ip.ts";

const MAC = /^[0-9a-f]{2}(:[0-9a-f]{2}){5}$/i;
const GUID = /^[0-9a-f]{4}(:[0-9a-f]{4}){3}$/i;
const GID = /^[0-9a-f]{4}(:[0-9a-f]{4}){7}$/i;

/** Replaces addresses and names in texts by words that say which are the same: `mac-1`, `ip-2`. PCI addresses stay. */
export class Anonymous {
  readonly #names: readonly string[];
  readonly #known = new Map<string, string>();
  readonly #counts = new Map<string, number>();

  /** @param names of hosts. */
  constructor(names: readonly string[]) {
    this.#names = names.filter((name) => name.length > 2);
  }

  text(text: string): string {
    const without = this.#names.reduce((now, name) => now.replaceAll(name, "[node]"), text);
    return without.replace(/[0-9a-fA-F:.]{3,}/g, (word) => this.#word(word));
  }

  #word(word: string): string {
    const bare = word.replace(/[.:]$/, ""); // the end of a sentence
    const kind = kindOf(bare);
    return kind === undefined ? word : this.#alias(kind, bare.toLowerCase()) + word.slice(bare.length);
  }

  #alias(kind: string, value: string): string {
    const known = this.#known.get(value);
    if (known !== undefined) return known;
    const count = (this.#counts.get(kind) ?? 0) + 1;
    this.#counts.set(kind, count);
    this.#known.set(value, `${kind}-${count}`);
    return `${kind}-${count}`;
  }
}

function kindOf(word: string): string | undefined {
  if (MAC.test(word)) return /^(00|ff)(:\1){5}$/i.test(word) ? undefined : "mac";
  if (GUID.test(word)) return "guid";
  if (GID.test(word)) return "gid";
  return canonicalIp(word) === undefined ? undefined : "ip";
}
