import type { Rail } from "../world/world.ts";

const plain = (i: number, prefixBits = 26): Rail => ({
  name: `rail${i}`,
  ipam: { range: `10.${10 + i}.0.0/${prefixBits}` },
});

const apart = (rail: Rail): Rail => ({ ...rail, ipam: { ...rail.ipam, enable_overlapping_ranges: false } });

/** Two ranges within one CIDR: an interface has an address of each. */
const TWO_RANGES: Rail = {
  name: "rail0",
  ipam: {
    ipRanges: [
      { range: "10.10.0.0/26", range_start: "10.10.0.1", range_end: "10.10.0.31" },
      { range: "10.10.0.0/26", range_start: "10.10.0.20", range_end: "10.10.0.60" },
    ],
  },
};

/** Every second pod, by its name. */
const isOdd = (pod: string): boolean => pod.charCodeAt(pod.length - 1) % 2 === 1;

/** The rails of each pod. */
export const RAILS = {
  plain: (n: number) => {
    const rails = Array.from({ length: n }, (_, i) => plain(i));
    return () => rails;
  },
  /** Some pods' configuration says that reservations do not count: any tenant may. */
  mixed: () => {
    const rails = [plain(0)];
    const others = rails.map(apart);
    return (pod: string) => (isOdd(pod) ? rails : others);
  },
  /** 13 addresses. */
  small: () => {
    const rails = [plain(0, 28)];
    return () => rails;
  },
  ranges: () => () => [TWO_RANGES],
} as const satisfies Record<string, (n: number) => (pod: string) => readonly Rail[]>;
export type RailsName = keyof typeof RAILS;
