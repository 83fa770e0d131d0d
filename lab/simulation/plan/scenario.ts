import { Random } from "../core/random.ts";
import type { Settings } from "../world/world.ts";
import { KINDS, type Kind, type Operation, WEIGHTS } from "./operations.ts";
import { DEALT, PROFILES, type Profile, type ProfileName } from "./profiles.ts";
import { RAILS } from "./rails.ts";

/** What a seed stands for: a cluster, and what befalls it. A plan can be shortened; the rest stays. */
export interface Scenario {
  readonly seed: string;
  readonly profile: ProfileName;
  readonly settings: Settings;
  /** Somebody takes objects away that are in use. */
  readonly isTampered: boolean;
  readonly maxPods: number;
  /** How long things happen. */
  readonly chaosMs: number;
  readonly plan: readonly Operation[];
}

const TAMPERS: readonly Kind[] = ["hand", "hand-pool", "crd", "restore", "restore-bumped", "mode"];

export interface Wishes {
  readonly profile?: ProfileName | undefined;
  readonly only?: readonly Kind[] | undefined;
}

export function scenarioOf(seed: string, { profile: wanted, only }: Wishes = {}): Scenario {
  const random = new Random(`${seed} scenario`);
  const dealt = DEALT[random.int(DEALT.length)]!;
  const profile = wanted ?? dealt;
  const {
    only: some = KINDS,
    without = [],
    minutes,
    isStrict = false,
    mode = "absent",
    hasFence = false,
    rails = "plain",
    weights = {},
    gapSeconds = [0.3, 10],
  }: Profile = PROFILES[profile];
  const nodes = Array.from({ length: 3 + Math.floor(6 * random.next() ** 2) }, (_, i) => `n${i + 1}`);
  const railCount = 1 + Math.floor(2 * random.next() ** 3);
  const kinds = KINDS.filter((kind) => (only ?? some).includes(kind) && !without.includes(kind));
  const chaosMs = minutes * 60_000;
  return {
    seed,
    profile,
    settings: { nodes, mode, rails: RAILS[rails](railCount), isStrict, hasFence },
    isTampered: kinds.some((kind) => TAMPERS.includes(kind)),
    maxPods: rails === "small" ? 15 : 4 * nodes.length + random.int(12),
    chaosMs,
    plan: makePlan(random, kinds, { ...WEIGHTS, ...weights }, gapSeconds, chaosMs),
  };
}

type Weights = Readonly<Record<Kind, number>>;

function makePlan(
  random: Random,
  kinds: readonly Kind[],
  weights: Weights,
  [min, max]: readonly [number, number],
  chaosMs: number,
): Operation[] {
  const total = kinds.reduce((sum, kind) => sum + weights[kind], 0);
  const plan: Operation[] = [];
  // Some runs are busy, some are slow.
  const gapMs = 1000 * min * (max / min) ** random.next();
  for (let atMs = 3_000; atMs < chaosMs; atMs += random.between(0, 2 * gapMs)) {
    const kind = pick(kinds, weights, random.next() * total);
    const dice = Array.from({ length: 4 }, () => Number(random.next().toFixed(6)));
    plan.push({ atMs: Math.round(atMs), kind, dice });
  }
  return plan;
}

function pick(kinds: readonly Kind[], weights: Weights, dice: number): Kind {
  let left = dice;
  for (const kind of kinds) {
    left -= weights[kind];
    if (left < 0) return kind;
  }
  return kinds[0]!;
}
