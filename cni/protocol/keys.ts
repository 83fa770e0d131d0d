/** U+017F and U+212A fold to ASCII letters; apart from capitals, nothing else does. */
const fold = (key: string): string => key.replaceAll("\u017f", "s").replaceAll("\u212a", "k").toLowerCase();

/** Reads an object with its known keys in our spelling. */
export type Spell = (from: object) => Record<string, unknown>;

/**
 * Spells known keys as we do, whatever their case: Go's `encoding/json`, with which runtimes, Multus and every other plugin
 * read a configuration, accepts `VLAN` for `vlan`. Everybody else would believe that a key ignored here was set. Of several
 * spellings the last one wins, but null only if there is no other; other keys stay as they are.
 */
export function spelling(...known: readonly string[]): Spell {
  const exact = new Set(known);
  let folded: Map<string, string> | undefined;
  const ofAnyCase = (key: string) => {
    folded ??= new Map(known.map((k) => [fold(k), k])); // late: a call rarely has a key that is not spelled as we do
    return folded.get(fold(key)) ?? key;
  };
  return (from) => {
    const out = new Map<string, unknown>();
    for (const [key, value] of Object.entries(from)) {
      const name = exact.has(key) ? key : ofAnyCase(key);
      if (value !== null || !out.has(name)) out.set(name, value);
    }
    return Object.fromEntries(out);
  };
}

/** `over` in place of what `base` has under the same keys, in any case. */
export function laidOver(base: object, over: object): Record<string, unknown> {
  const keys = new Set(Object.keys(over).map(fold));
  return { ...Object.fromEntries(Object.entries(base).filter(([key]) => !keys.has(fold(key)))), ...over };
}
