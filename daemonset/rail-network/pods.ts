import { VF_KEYS } from "../../cni/vf-settings.ts";
import type { LabelSelector } from "./object.ts";

/** How pods get the rails of a RailNetwork, read and checked. */
export interface PodRules {
  readonly namespaces: LabelSelector;
  /** Name of a link in a pod that has all rails; `{n}` stands for the rail's place in the list ({@link interfaceOf}). */
  readonly interface: string;
  /** Whether a pod has the same offset in the subnet of each rail. */
  readonly sameIndex: boolean;
  /** Keys for a network's configuration. */
  readonly settings: PodSettings;
  /** Keys that a pod (`ips`, `mac`) or a hand-written network may set itself. */
  readonly allow: readonly Allowed[];
}

export interface PodSettings {
  readonly trust: boolean;
  readonly spoofchk: boolean;
  readonly vlan: number;
  readonly vlanQoS?: number;
  readonly vlanProto?: "802.1q" | "802.1ad";
  readonly link_state?: "auto" | "enable" | "disable";
  readonly min_tx_rate?: number;
  readonly max_tx_rate?: number;
  readonly sourceRules?: boolean;
  readonly duplicateAddressProbe?: boolean;
  readonly rdmaReady?: "fail" | "warn" | "off";
}

export const ALLOWED = [
  "ips",
  "mac",
  "mtu",
  ...VF_KEYS,
  "rdma",
  "sysctl",
  "sourceRules",
  "duplicateAddressProbe",
  "rdmaReady",
] as const;
export type Allowed = (typeof ALLOWED)[number];

const OPERATORS = ["In", "NotIn", "Exists", "DoesNotExist"];
const MAX_RATE = 2 ** 31 - 1;

/** The valid values of each setting, and its default; the definition says the same. */
const SETTINGS: Readonly<Record<keyof PodSettings, { is: (value: unknown) => boolean; want: string; else?: unknown }>> =
  {
    trust: { ...onOff(), else: false },
    spoofchk: { ...onOff(), else: true },
    vlan: { ...whole(4094), else: 0 },
    vlanQoS: whole(7),
    vlanProto: word("802.1q", "802.1ad"),
    link_state: word("auto", "enable", "disable"),
    min_tx_rate: whole(MAX_RATE),
    max_tx_rate: whole(MAX_RATE),
    sourceRules: onOff(),
    duplicateAddressProbe: onOff(),
    rdmaReady: word("fail", "warn", "off"),
  };

/**
 * `spec.pods` of a RailNetwork. The API server has checked it, but perhaps by an older definition.
 *
 * @throws {Error} naming field, value and fix.
 */
export function readPods(pods: unknown): PodRules {
  if (!isObject(pods)) throw invalid("pods", pods, "want at least {namespaces: {}}");
  const allow = pods["allow"] ?? [];
  if (!Array.isArray(allow)) throw invalid("pods.allow", allow, `want a list of ${ALLOWED.join(", ")}`);
  const stranger = allow.find((one) => !ALLOWED.includes(one));
  if (stranger !== undefined) throw invalid("pods.allow", stranger, `want some of ${ALLOWED.join(", ")}`);
  const sameIndex = pods["sameIndex"] ?? true;
  if (typeof sameIndex !== "boolean") throw invalid("pods.sameIndex", sameIndex, "want true or false");
  return {
    namespaces: readSelector(pods["namespaces"]),
    interface: readInterface(pods["interface"] ?? "rail{n}"),
    sameIndex,
    settings: readSettings(pods["settings"] ?? {}),
    allow,
  };
}

/** The rail's link in a pod that has all rails. @param index its place in the list. */
export const interfaceOf = (pods: Pick<PodRules, "interface">, index: number): string =>
  pods.interface.replace("{n}", `${index}`);

/** A Kubernetes label selector. Pure. */
export function selects(
  { matchLabels = {}, matchExpressions = [] }: LabelSelector,
  labels: Readonly<Record<string, string>>,
): boolean {
  return (
    Object.entries(matchLabels).every(([key, value]) => labels[key] === value) &&
    matchExpressions.every(({ key, operator, values = [] }) => {
      const value = Object.hasOwn(labels, key) ? labels[key]! : undefined;
      if (operator === "Exists") return value !== undefined;
      if (operator === "DoesNotExist") return value === undefined;
      return (value !== undefined && values.includes(value)) === (operator === "In");
    })
  );
}

function readSelector(given: unknown): LabelSelector {
  const fix = "want {} for every namespace, or {matchLabels: {rails: allowed}}";
  if (!isObject(given)) throw invalid("pods.namespaces", given, fix);
  const { matchLabels = {}, matchExpressions = [] } = given;
  if (!isObject(matchLabels) || !Object.values(matchLabels).every((value) => typeof value === "string"))
    throw invalid("pods.namespaces.matchLabels", matchLabels, fix);
  const isExpression = (one: unknown) =>
    isObject(one) &&
    typeof one["key"] === "string" &&
    OPERATORS.includes(one["operator"] as string) &&
    Array.isArray(one["values"] ?? []);
  if (!Array.isArray(matchExpressions) || !matchExpressions.every(isExpression))
    throw invalid("pods.namespaces.matchExpressions", matchExpressions, `want {key, operator, values}, with one of ${OPERATORS.join(", ")}`); // biome-ignore format: one row
  return { matchLabels: matchLabels as Record<string, string>, matchExpressions };
}

function readInterface(given: unknown): string {
  const name = typeof given === "string" ? given.replace("{n}", "0") : "";
  if (typeof given === "string" && /^[-\w.]{1,15}$/.test(name)) return given;
  throw invalid("pods.interface", given, "want a name such as rail{n}, at most 15 characters with the number");
}

function readSettings(given: unknown): PodSettings {
  if (!isObject(given)) throw invalid("pods.settings", given, "want for example {trust: off, vlan: 100}");
  const unknown = Object.keys(given).find((key) => !Object.hasOwn(SETTINGS, key));
  if (unknown !== undefined)
    throw invalid("pods.settings", unknown, `there is no such setting; want ${Object.keys(SETTINGS).join(", ")}`);
  const read = Object.entries(SETTINGS).flatMap(([key, { is, want, else: absent }]) => {
    const value = given[key] ?? absent;
    if (value !== undefined && !is(value)) throw invalid(`pods.settings.${key}`, value, want);
    return value === undefined ? [] : [[key, value]];
  });
  return Object.fromEntries(read);
}

function onOff() {
  return { is: (value: unknown) => typeof value === "boolean", want: "want on or off, unquoted" };
}

function whole(max: number) {
  const is = (value: unknown) => Number.isInteger(value) && (value as number) >= 0 && (value as number) <= max;
  return { is, want: `want a whole number from 0 to ${max}` };
}

function word(...words: string[]) {
  return { is: (value: unknown) => words.includes(value as string), want: `want ${words.join(" or ")}` };
}

const isObject = (value: unknown): value is Record<string, unknown> =>
  typeof value === "object" && value !== null && !Array.isArray(value);

const invalid = (field: string, value: unknown, fix: string): Error =>
  new Error(`cannot use spec.${field} ${JSON.stringify(value)}: ${fix}`);
