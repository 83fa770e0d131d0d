import type { PreferenceRequest } from "./api.ts";

/** Where a VF is, and what speaks against giving it out. */
export interface Candidate {
  readonly id: string;
  readonly numaNode?: number;
  /** A pod had it a moment ago and its DEL is still to come. */
  readonly attached: boolean;
}

/**
 * Which VFs a container should get of those that the kubelet offers: first those that are required, then those that no pod
 * has, on the same NUMA node, in the PF's order. Pure; the same question has the same answer.
 */
export function prefer(request: Partial<PreferenceRequest>, candidates: readonly Candidate[]): string[] {
  const { available_deviceIDs: available = [], must_include_deviceIDs: must = [], allocation_size: size = 0 } = request;
  const known = new Map(candidates.map((candidate, index) => [candidate.id, { ...candidate, index }]));
  const wantedNode = known.get(must[0] ?? "")?.numaNode;
  const rank = (pci: string): number[] => {
    const vf = known.get(pci);
    if (!vf) return [1, 1, 0];
    return [Number(vf.attached), Number(wantedNode !== undefined && vf.numaNode !== wantedNode), vf.index];
  };
  const others = available.filter((pci) => !must.includes(pci)).sort((a, b) => compare(rank(a), rank(b)));
  return [...must, ...others].slice(0, Math.max(size, must.length));
}

function compare(a: readonly number[], b: readonly number[]): number {
  const at = a.findIndex((value, i) => value !== b[i]);
  return at < 0 ? 0 : a[at]! - b[at]!;
}
