import { UsageError } from "../../ipam/options.ts";
import type { BandwidthTest } from "./results.ts";

/** As yargs gives them. */
export interface RdmaOptions {
  readonly nodes: string;
  readonly network: string | undefined;
  readonly networks: string | undefined;
  readonly rails: string;
  readonly host: boolean;
  readonly hostRails: string | undefined;
  readonly kubeconfig: string | undefined;
  readonly namespace: string;
  readonly image: string;
  readonly pullPolicy: "IfNotPresent" | "Always" | "Never";
  readonly privileged: boolean;
  readonly readySeconds: number;
  readonly maxSeconds: number | undefined;
  readonly tests: string;
  readonly bandwidth: string;
  readonly latency: string;
  readonly sweep: boolean;
  readonly sweepArgs: string;
  readonly atOnce: boolean;
  readonly incast: boolean;
  readonly sample: number | undefined;
  readonly seed: number;
  readonly parallel: number;
  readonly limit: number;
  readonly output: string;
  readonly minGbps: number | undefined;
  readonly maxPodLoss: number | undefined;
  readonly maxSpread: number | undefined;
  readonly baseline: string | undefined;
  readonly maxBaselineLoss: number;
  readonly allowTcp: boolean;
  readonly junit: string | undefined;
}

export const TESTS = ["write", "read", "send", "latency"] as const;

/** @throws {UsageError} that names the option, its value and what is wanted. */
export function checkOptions(options: RdmaOptions): void {
  for (const [key, value] of Object.entries(options))
    if (Array.isArray(value) && key !== "_")
      refuse(key as keyof RdmaOptions, value.join(" "), "it was given more than once");
  const positive = ["readySeconds", "parallel", "limit", "minGbps", "maxPodLoss", "maxSpread", "maxSeconds"] as const;
  for (const key of positive)
    if (options[key] !== undefined && !(options[key] > 0)) refuse(key, options[key], "want a number above 0");
  if (options.sample !== undefined && !(Number.isInteger(options.sample) && options.sample > 0))
    refuse("sample", options.sample, "want a number of rounds; three and more tell a node from a cable");
  if (options.network && options.networks) refuse("network", options.network, "leave it out beside --networks");
  if (options.maxPodLoss !== undefined && !options.host)
    refuse("maxPodLoss", options.maxPodLoss, "a pod loses against its host: give --host, too");
  for (const key of ["bandwidth", "latency", "sweepArgs"] as const)
    if (!/^[\w\s=.,:/-]*$/.test(options[key])) refuse(key, options[key], "want letters, digits and -_=.,:/ alone"); // they become part of a shell's text
  testsOf(options);
  hostRailsOf(options);
}

export function testsOf({ tests }: Pick<RdmaOptions, "tests">): { bandwidth: BandwidthTest[]; hasLatency: boolean } {
  const chosen = listOf(tests);
  const unknown = chosen.find((one) => !TESTS.includes(one as "write"));
  if (unknown !== undefined) refuse("tests", unknown, `want some of ${TESTS.join(", ")}`);
  const bandwidth = (["write", "read", "send"] as const).filter((one) => chosen.includes(one));
  const hasLatency = chosen.includes("latency");
  if (bandwidth.length === 0) refuse("tests", tests, "want write, read or send among them");
  if (hasLatency && !bandwidth.includes("write")) refuse("tests", tests, "latency goes with write");
  return { bandwidth, hasLatency };
}

/** `rail0=ens1f0np0,rail1=…`. */
export function hostRailsOf({ hostRails }: Pick<RdmaOptions, "hostRails">): Map<string, string> {
  const pairs = listOf(hostRails ?? "").map((pair): [string, string] => {
    const [rail, link, ...rest] = pair.split("=");
    if (!rail || !link || rest.length > 0) refuse("hostRails", pair, "want RAIL=LINK");
    return [rail!, link!];
  });
  return new Map(pairs);
}

/** What stands between commas. */
export const listOf = (text: string): string[] =>
  text
    .split(",")
    .map((one) => one.trim())
    .filter(Boolean);

function refuse(key: keyof RdmaOptions, value: unknown, want: string): never {
  const option = key.replace(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`);
  throw new UsageError(`cannot use --${option} ${JSON.stringify(value)}: ${want}`);
}
