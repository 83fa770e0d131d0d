import { readFileSync } from "node:fs";
import { FAILSAFE_SCHEMA, load } from "js-yaml";
import { isMissing } from "../../kernel/errno.ts";
import type { RdmaNetnsMode } from "../../kernel/rdma.ts";
import { readResourceName } from "./resource-name.ts";
import { splitWord } from "./vf-range.ts";

/** Which physical function a rail is: every list that is not empty must contain it. */
export interface PfSelector {
  /** Links, each optionally with VFs: `ens1f0np0`, `ens1f0np0#1-7` ({@link splitWord}). */
  readonly names: readonly string[];
  /** Lower case, likewise: `0000:18:00.0`, `0000:18:00.0#0,4-7`. */
  readonly pciAddresses: readonly string[];
  /** Lower case: `15b3`. */
  readonly vendors: readonly string[];
  /** `mlx5_core`. */
  readonly drivers: readonly string[];
}

/** One entry of the key `rails` of the ConfigMap `railnet-config`. */
export interface Rail {
  /** Unique, at most 40 characters: used for metrics, logs, the device plugin's socket and, by default, the resource. */
  readonly name: string;
  /** The device plugin's name for it, unique: `railnet.io/rail0`. */
  readonly resource: string;
  /** How many VFs its PF should have; 0 leaves the PF as it is. */
  readonly vfs: number;
  readonly pf: PfSelector;
  /** RDMA is needed on this rail, and the node's RDMA namespace mode is set to this. The same on all rails that have it. */
  readonly rdma?: RdmaNetnsMode;
  /** Bytes that pods' links are to have, so the PF needs them too; only a RailNetwork sets it. */
  readonly mtu?: number;
}

const RAIL_FIELDS = ["name", "resource", "vfs", "pf", "rdma"] as const;
const SELECTORS = ["names", "pciAddresses", "vendors", "drivers"] as const;
const EXAMPLE = "[{name: rail0, vfs: 8, pf: {names: [ens1f0np0]}}]";
/** `sriov_numvfs` is 16 bits wide. */
const MAX_VFS = 65535;
const PCI_ADDRESS = {
  want: "PCI addresses such as 0000:18:00.0",
  is: /^[0-9a-f]{4}:[0-9a-f]{2}:[0-9a-f]{2}\.[0-7]$/i,
};
const WORDS: Record<(typeof SELECTORS)[number], { want: string; is: RegExp }> = {
  names: {
    want: "names or alternative names of links such as ens1f0np0, at most 127 characters",
    is: /^[^\s/]{1,127}$/,
  },
  pciAddresses: PCI_ADDRESS,
  vendors: { want: "PCI vendors of four hexadecimal digits such as 15b3", is: /^[0-9a-f]{4}$/i },
  drivers: { want: "names of kernel drivers such as mlx5_core", is: /^[\w-]+$/ },
};

/** Without the file, which is optional in a cluster, there are no rails. @throws {Error} as {@link parseRails}. */
export function readRails(path: string): Rail[] {
  let text: string;
  try {
    text = readFileSync(path, "utf8");
  } catch (error) {
    if (isMissing(error)) return [];
    throw error;
  }
  return parseRails(text);
}

/**
 * Parses YAML in which all scalars are strings, so that vendor 8086 is not a number and 0123 keeps its zero.
 *
 * @throws {Error} naming rail, field, value and fix.
 */
export function parseRails(text: string): Rail[] {
  const rails = parseYaml(text).map(toRail);
  for (const [i, rail] of rails.entries()) for (const other of rails.slice(0, i)) refuseClash(rail, other);
  return rails;
}

function parseYaml(text: string): unknown[] {
  if (text.split("\n").every(isBlank)) return [];
  let value: unknown;
  try {
    value = load(text, { schema: FAILSAFE_SCHEMA });
  } catch (cause) {
    throw new Error(`cannot read rails: it is not YAML: ${(cause as Error).message}`, { cause });
  }
  if (value === "[]") return [];
  if (!Array.isArray(value)) throw new Error(`cannot read rails: want a list such as ${EXAMPLE}`);
  return value;
}

const isBlank = (line: string): boolean => ["", "#"].includes(line.trim().charAt(0));

/** One entry, all of whose scalars are strings. @throws {Error} naming rail, field, value and fix. */
export function toRail(entry: unknown, index: number): Rail {
  const at = `entry ${index + 1}`;
  if (!isObject(entry)) throw invalid(at, "entry", entry, `want an object such as ${EXAMPLE.slice(1, -1)}`);
  const name = readName(at, entry["name"]);
  refuseUnknown(name, "", entry, RAIL_FIELDS);
  const rdma = readRdma(name, entry["rdma"]);
  return {
    name,
    resource: entry["resource"] === undefined ? `railnet.io/${name}` : readResource(name, entry["resource"]),
    vfs: readVfs(name, entry["vfs"]),
    pf: readSelector(name, entry["pf"]),
    ...(rdma && { rdma }),
  };
}

function readName(at: string, value: unknown): string {
  if (value === undefined) throw new Error(`cannot use rails: ${at}: name is missing; want one such as rail0`);
  if (typeof value === "string" && /^[a-z0-9]([-a-z0-9]{0,38}[a-z0-9])?$/.test(value)) return value;
  throw invalid(at, "name", value, "want at most 40 lower case letters, digits and hyphens, such as rail0");
}

function readResource(rail: string, value: unknown): string {
  try {
    return readResourceName(value);
  } catch (cause) {
    throw invalid(rail, "resource", value, (cause as Error).message);
  }
}

function readVfs(rail: string, value: unknown = "0"): number {
  const vfs = typeof value === "string" && /^\d+$/.test(value) ? Number(value) : Number.NaN;
  if (vfs <= MAX_VFS) return vfs;
  throw invalid(rail, "vfs", value, `want a whole number from 0, which leaves the PF as it is, to ${MAX_VFS}`);
}

function readRdma(rail: string, value: unknown): RdmaNetnsMode | undefined {
  if (value === undefined || value === "exclusive" || value === "shared") return value;
  throw invalid(rail, "rdma", value, "want exclusive or shared, or leave it out to leave the mode as it is");
}

function readSelector(rail: string, value: unknown): PfSelector {
  const fix = "want selectors of one PF such as {names: [ens1f0np0]} or {pciAddresses: ['0000:18:00.0']}";
  if (value === undefined) throw new Error(`cannot use rail "${rail}": pf is missing; ${fix}`);
  if (!isObject(value)) throw invalid(rail, "pf", value, fix);
  refuseUnknown(rail, "pf.", value, SELECTORS);
  const selector = Object.fromEntries(SELECTORS.map((key) => [key, readWords(rail, key, value[key])]));
  if (Object.values(selector).every((words) => words.length === 0))
    throw invalid(rail, "pf", value, `nothing is selected, so that any PF would do; ${fix}`);
  return selector as unknown as PfSelector;
}

function readWords(rail: string, key: (typeof SELECTORS)[number], value: unknown = []): readonly string[] {
  const { want, is } = WORDS[key];
  if (!Array.isArray(value)) throw invalid(rail, `pf.${key}`, value, `want a list of ${want}`);
  const takesVfs = key === "names" || key === "pciAddresses";
  const isRight = (word: unknown) => typeof word === "string" && is.test(takesVfs ? splitWord(word).pf : word);
  const wrong = value.find((word) => !isRight(word));
  if (wrong !== undefined) throw invalid(rail, `pf.${key}`, wrong, `want ${want}`);
  const backwards = takesVfs ? value.find(isBackwards) : undefined;
  if (backwards !== undefined)
    throw invalid(rail, `pf.${key}`, backwards, "want VFs from a lower to a higher index, such as #1-7 or #0,4-7");
  return key === "pciAddresses" || key === "vendors" ? value.map((word) => word.toLowerCase()) : value;
}

const isBackwards = (word: string): boolean => splitWord(word).ranges?.some(([first, last]) => first > last) ?? false;

function refuseUnknown(rail: string, at: string, from: object, known: readonly string[]): void {
  const unknown = Object.keys(from).find((key) => !known.includes(key));
  if (unknown === undefined) return;
  throw new Error(`cannot use rail "${rail}": there is no field ${at}${unknown}; want ${known.join(", ")}`);
}

function refuseClash(rail: Rail, other: Rail): void {
  if (rail.name === other.name) throw invalid(rail.name, "name", rail.name, "another rail has it; give each its own");
  if (rail.resource === other.resource)
    throw invalid(rail.name, "resource", rail.resource, `rail "${other.name}" has it; a resource is one rail's`);
  if (JSON.stringify(rail.pf) === JSON.stringify(other.pf))
    throw invalid(rail.name, "pf", rail.pf, `rail "${other.name}" selects the same; a PF is one rail's`);
  if (rail.rdma && other.rdma && rail.rdma !== other.rdma)
    throw invalid(
      rail.name,
      "rdma",
      rail.rdma,
      `rail "${other.name}" says ${other.rdma}; the mode is the whole node's`,
    );
}

const isObject = (value: unknown): value is Record<string, unknown> =>
  typeof value === "object" && value !== null && !Array.isArray(value);

function invalid(rail: string, field: string, value: unknown, fix: string): Error {
  return new Error(`cannot use rail "${rail}": ${field} ${JSON.stringify(value)}: ${fix}`);
}
