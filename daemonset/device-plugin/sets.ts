import { vfsOf } from "../../kernel/sysfs.ts";
import type { RailHere } from "../rails/select.ts";
import type { RailSets } from "../rails/sets.ts";
import { isIn } from "../rails/vf-range.ts";
import type { Sight } from "./sight.ts";

/** The sets of a node, and which VFs are in use as such. */
export interface SetsHere extends RailSets {
  /** VFs that pods have as part of sets, by PCI address. */
  readonly inSets: ReadonlySet<string>;
}

const OF_A_SET = "a pod has it in a set of VFs";
const ALONE = "a pod has it by itself";

/** The VFs of a rail that are reserved for sets: its first ones, whatever else is on this node, so that no VF is offered in two ways. */
export function reservedVfs({ rail, pf, ranges }: RailHere, { rails, count }: RailSets, sysfs: string): string[] {
  if (!rails.includes(rail.name)) return [];
  return vfsOf(sysfs, pf.pci)
    .filter((_, index) => isIn(index, ranges))
    .slice(0, count);
}

/**
 * What a rail's own resource offers: all but the VFs of sets. A VF in a pod keeps its place until that pod has ended, and a
 * VF in a pod as part of a set, from when there were more sets, is offered to nobody.
 */
export function withoutSets(
  sights: readonly Sight[],
  reserved: readonly string[],
  inSets: ReadonlySet<string>,
): readonly Sight[] {
  return sights
    .filter(({ id, attached }) => !reserved.includes(id) || (attached && !inSets.has(id)))
    .map((sight) => (inSets.has(sight.id) ? { ...sight, problem: OF_A_SET, unready: true } : sight));
}

/**
 * The sets of a node, the first one of the first VFs of all rails, and so on: as many as every rail has VFs for. Pure.
 *
 * @param sightsOf the state of a rail's reserved VFs, in order; undefined for a rail that is not on this node.
 * @param before what was last listed: a set in a pod stays even if it could no longer be formed.
 */
export function lookAtSets(
  { rails, count, inSets }: SetsHere,
  sightsOf: (rail: string) => readonly Sight[] | undefined,
  before: readonly string[],
): Sight[] {
  const columns = rails.map((rail) => sightsOf(rail) ?? []);
  const size = Math.min(count, ...columns.map((column) => column.length));
  const sets = Array.from({ length: size }, (_, i) =>
    toSet(
      columns.map((column) => column[i]!),
      rails,
      inSets,
    ),
  );
  const isLeft = (id: string) => !sets.some((set) => set.id === id) && id.split(",").some((pci) => inSets.has(pci));
  const left = before.filter(isLeft).map(
    (id): Sight => ({
      id,
      vfs: [],
      attached: true,
      gone: true,
      problem: "there is no such set any more: a rail is missing, or has fewer VFs",
    }),
  );
  return [...sets, ...left];
}

/** As healthy as its worst VF. */
function toSet(members: readonly Sight[], rails: readonly string[], inSets: ReadonlySet<string>): Sight {
  const problems = members.map(({ id, attached, problem }) => (attached && !inSets.has(id) ? ALONE : problem));
  const sick = problems.findIndex((problem) => problem !== undefined);
  const nodes = new Set(members.map(({ numaNode }) => numaNode));
  const [numaNode] = nodes;
  return {
    id: members.map(({ id }) => id).join(),
    vfs: members.flatMap(({ vfs }) => vfs),
    attached: members.some(({ attached }) => attached),
    gone: members.some(({ gone }) => gone),
    unready: members.some(({ unready }, i) => unready || problems[i] === ALONE),
    ...(nodes.size === 1 && numaNode !== undefined && { numaNode }),
    ...(sick >= 0 && { problem: `${rails[sick]}: ${problems[sick]}` }),
  };
}
