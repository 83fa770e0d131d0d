/** What befalls the cluster, and how often, relative to the others. */
export const WEIGHTS = {
  make: 8,
  "make-stateful": 5,
  static: 0.7,
  foreign: 4,
  delete: 7,
  force: 2,
  restart: 2,
  finish: 1,
  kill: 1,
  "kill-at-call": 3,
  "kill-at-write": 2,
  alone: 1,
  cut: 1,
  storm: 2,
  lag: 1,
  power: 0.5,
  reimage: 0.2,
  "node-delete": 0.3,
  "node-lost": 0.1,
  compact: 1,
  "server-restart": 1,
  restore: 0.3,
  "restore-bumped": 0.3,
  crd: 0.2,
  hand: 1,
  "hand-pool": 0.2,
  "disk-full": 0.4,
  mode: 0.2,
  clock: 0.3,
  freeze: 1,
  impatient: 1,
} as const;

export type Kind = keyof typeof WEIGHTS;
export const KINDS = Object.keys(WEIGHTS) as Kind[];

/** One of a plan. What it hits and for how long is in its dice, so that leaving out another one does not change it. */
export interface Operation {
  readonly atMs: number;
  readonly kind: Kind;
  readonly dice: readonly number[];
}
