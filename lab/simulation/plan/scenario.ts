import { Random } from "../core/random.ts";
import type { Rail, Settings } from "../world/world.ts";
import { KINDS, type Kind, type Operation, WEIGHTS } from "./operations.ts";

/** What a seed stands for: a cluster, and what befalls it. A plan can be shortened; the rest stays. */
export interface Scenario {
  readonly seed: string;
  readonly profile: ProfileName;
  readonly settings: Settings;
  readonly maxPods: number;
  /** How long things happen. */
  readonly chaosMs: number;
  readonly plan: readonly Operation[];
}

interface Profile {
  /** What does not happen. */
  readonly without: readonly Kind[];
  readonly isStrict?: boolean;
  readonly mode?: Settings["mode"];
  readonly minutes: number;
}

const HANDS = ["hand", "hand-pool", "crd"] as const;
const RESTORES = ["restore", "restore-bumped"] as const;
const NODES_GO = ["power", "reimage", "node-delete"] as const;

export const PROFILES = {
  /** Nothing but what a busy cluster has every day; and no net may catch anything. */
  everyday: { without: [...HANDS, ...RESTORES, ...NODES_GO, "force", "cut", "disk-full", "mode", "clock", "kill", "server-restart", "alone"], isStrict: true, minutes: 5 }, // biome-ignore format: one row
  /** Crashes, partitions and storms. */
  rough: { without: [...HANDS, ...RESTORES, "mode"], minutes: 10 },
  /** What people do to a cluster: restores, definitions and objects deleted by hand. */
  hands: { without: ["mode", "reimage"], minutes: 10 },
  /** Beside a live Whereabouts. */
  coexist: { without: [...HANDS, ...RESTORES, "mode", "reimage", "node-delete"], mode: "coexist", minutes: 8 },
} as const satisfies Record<string, Profile>;
export type ProfileName = keyof typeof PROFILES;

const DEALT: readonly ProfileName[] = ["rough", "hands", "everyday", "rough"];

export interface Wishes {
  readonly profile?: ProfileName | undefined;
  readonly only?: readonly Kind[] | undefined;
}

export function scenarioOf(seed: string, { profile: wanted, only }: Wishes = {}): Scenario {
  const random = new Random(`${seed} scenario`);
  const dealt = DEALT[random.int(DEALT.length)]!;
  const profile = wanted ?? dealt;
  const { without, minutes, isStrict = false, mode = "absent" }: Profile = PROFILES[profile];
  const nodes = Array.from({ length: 3 + Math.floor(6 * random.next() ** 2) }, (_, i) => `n${i + 1}`);
  const rails = railsOf(1 + Math.floor(2 * random.next() ** 3));
  const kinds = KINDS.filter((kind) => (only ? only.includes(kind) : !without.includes(kind)));
  const chaosMs = minutes * 60_000;
  return {
    seed,
    profile,
    settings: { nodes, mode, rails: () => rails, isStrict, hasFence: false },
    maxPods: 4 * nodes.length + random.int(12),
    chaosMs,
    plan: makePlan(random, kinds, chaosMs),
  };
}

const railsOf = (n: number): Rail[] =>
  Array.from({ length: n }, (_, i) => ({ name: `rail${i}`, ipam: { range: `10.${10 + i}.0.0/26` } }));

function makePlan(random: Random, kinds: readonly Kind[], chaosMs: number): Operation[] {
  const total = kinds.reduce((sum, kind) => sum + WEIGHTS[kind], 0);
  const plan: Operation[] = [];
  // Some runs are busy, some are slow: a gap of 0.3 to 20 s.
  const gapMs = 300 * 2 ** random.between(0, 6);
  for (let atMs = 3_000; atMs < chaosMs; atMs += random.between(0, 2 * gapMs)) {
    const kind = pick(kinds, random.next() * total);
    plan.push({
      atMs: Math.round(atMs),
      kind,
      dice: Array.from({ length: 4 }, () => Number(random.next().toFixed(6))),
    });
  }
  return plan;
}

function pick(kinds: readonly Kind[], dice: number): Kind {
  let left = dice;
  for (const kind of kinds) {
    left -= WEIGHTS[kind];
    if (left < 0) return kind;
  }
  return kinds[0]!;
}
