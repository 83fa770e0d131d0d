import type { Settings } from "../world/world.ts";
import type { Kind } from "./operations.ts";
import type { RailsName } from "./rails.ts";

export interface Profile {
  /** What happens. Default: all but `without`. */
  readonly only?: readonly Kind[];
  readonly without?: readonly Kind[];
  readonly isStrict?: boolean;
  readonly mode?: Settings["mode"];
  readonly rails?: RailsName;
  readonly hasFence?: boolean;
  readonly minutes: number;
  /** Other odds than usual. */
  readonly weights?: Readonly<Partial<Record<Kind, number>>>;
  /** Between two operations, on average, seconds: from one run to another. Default 0.3 to 10. */
  readonly gapSeconds?: readonly [min: number, max: number];
  /** Of eleven seeds that name no profile. */
  readonly share: number;
}

const PODS = ["make", "make-stateful", "static", "delete", "restart", "finish"] as const;
const HANDS = ["hand", "hand-pool", "crd"] as const;
const RESTORES = ["restore", "restore-bumped"] as const;

const SILENCE = {
  weights: { "node-lost": 1, "node-delete": 0.5, cut: 0.5, kill: 0.3, lag: 0.3, reimage: 0.3, delete: 4, static: 2 },
  gapSeconds: [3, 8],
} as const;

/** Kinds of weather: each finds what the others drown. */
export const PROFILES = {
  /** Crashes, partitions and storms. */
  rough: { without: [...HANDS, ...RESTORES, "mode", "node-lost"], minutes: 6, share: 4 },
  /** Nothing but what a busy cluster has every day; and no net may catch anything. */
  everyday: { only: [...PODS, "kill-at-call", "kill-at-write", "storm", "lag", "compact", "freeze"], weights: { restart: 4, storm: 3 }, gapSeconds: [0.2, 1.5], isStrict: true, minutes: 2, share: 0 }, // biome-ignore format: one row
  /** The same with two addresses an interface. */
  pairs: { only: [...PODS, "kill-at-call", "kill-at-write", "storm", "lag", "compact", "freeze"], weights: { restart: 4, storm: 3 }, gapSeconds: [0.2, 1.5], isStrict: true, rails: "ranges", minutes: 2, share: 0 }, // biome-ignore format: one row
  /** Nodes that nobody hears: cut off, their objects deleted, and back after their addresses were given away. */
  silence: { ...SILENCE, only: [...PODS, "force", "cut", "node-delete", "node-lost", "kill", "lag", "reimage"], rails: "small", minutes: 20, share: 1 }, // biome-ignore format: one row
  /** The same, with addresses enough, so that what is in quarantine stays there. */
  quarantine: { ...SILENCE, only: [...PODS, "cut", "node-delete", "node-lost", "kill"], minutes: 20, share: 0 },
  /** The same, where nodes take their VFs down themselves. */
  fence: { ...SILENCE, only: [...PODS, "force", "cut", "node-delete", "node-lost", "kill", "power"], rails: "small", hasFence: true, minutes: 20, share: 0 }, // biome-ignore format: one row
  /** etcd out of a backup: versions go back. */
  restores: { only: [...PODS, "restore", "kill", "server-restart", "lag"], weights: { restore: 1 }, gapSeconds: [0.3, 4], minutes: 6, share: 0 }, // biome-ignore format: one row
  /** The same, and versions go on as if nothing had been. */
  bumped: { only: [...PODS, "restore-bumped", "kill", "lag"], weights: { "restore-bumped": 1 }, gapSeconds: [0.3, 4], minutes: 6, share: 0 }, // biome-ignore format: one row
  /** Definitions that are deleted and made again. */
  definitions: { only: [...PODS, "crd", "kill", "lag"], weights: { crd: 1 }, minutes: 4, share: 0 },
  /** Requests that are done a minute later. */
  late: {
    only: [...PODS, "storm", "kill"],
    weights: { storm: 6 },
    gapSeconds: [0.3, 1.5],
    isStrict: true,
    minutes: 3,
    share: 0,
  },
  /** Sandboxes that start again and again, so that a release meets the next one's claim. */
  restarts: { only: [...PODS, "storm", "lag", "alone", "kill-at-call", "impatient"], weights: { restart: 14, storm: 3, delete: 2 }, gapSeconds: [0.15, 0.6], minutes: 2, share: 1 }, // biome-ignore format: one row
  /** Machines that lose their power, disks that are full. */
  power: { only: [...PODS, "power", "kill-at-write", "kill-at-call", "disk-full", "alone"], minutes: 4, share: 0 },
  /** Reservations deleted by hand. */
  hand: { only: [...PODS, "hand", "kill"], minutes: 4, share: 0 },
  /** Some pods' configuration says `enable_overlapping_ranges: false`. */
  mixed: { only: [...PODS, "kill-at-call", "storm", "lag"], rails: "mixed", minutes: 4, share: 1 },
  /** The same over half an hour, with static pods: nobody but their agents knows that some of them run. */
  statics: { only: ["make", "static", "delete", "restart", "kill", "lag"], weights: { static: 6 }, gapSeconds: [4, 15], rails: "mixed", minutes: 30, share: 1 }, // biome-ignore format: one row
  /** Two ranges within one. */
  ranges: { only: [...PODS, "kill-at-call", "storm", "lag"], rails: "ranges", minutes: 4, share: 1 },
  /** A range that is full most of the time. */
  small: { only: [...PODS, "kill-at-call", "storm", "lag", "power"], rails: "small", minutes: 4, share: 1 },
  /** Between `absent` and `coexist`, back and forth. */
  modes: { only: [...PODS, "mode", "lag", "kill"], minutes: 5, share: 0 },
  /** Beside a live Whereabouts. */
  coexist: {
    only: [...PODS, "foreign", "kill-at-call", "storm", "lag", "force"],
    mode: "coexist",
    minutes: 5,
    share: 0,
  },
  /** What people do to a cluster: restores, definitions and objects deleted by hand. */
  hands: { without: ["mode", "reimage", "node-lost"], minutes: 6, share: 0 },
} as const satisfies Record<string, Profile>;
export type ProfileName = keyof typeof PROFILES;

/** One for each share. */
export const DEALT: readonly ProfileName[] = Object.entries(PROFILES).flatMap(([name, { share }]) =>
  Array.from({ length: share }, () => name as ProfileName),
);
