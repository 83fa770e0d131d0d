import { CniError, CODE } from "./error.ts";
import { isVerb, type Verb } from "./version.ts";

/** What the runtime says in the environment, SPEC.md 1.1.0 section 2 "Parameters". */
export interface Environment {
  readonly verb: Verb;
  readonly containerId: string;
  /** Empty when absent: DEL after the namespace is gone, GC, STATUS. */
  readonly netns: string;
  readonly ifname: string;
  /** Directories of CNI_PATH. */
  readonly path: readonly string[];
  /** CNI_ARGS. Values come from the cluster's users: never use them in a path or a shell. */
  readonly args: Readonly<Record<string, string>>;
}

interface Variable {
  readonly name: string;
  readonly requiredBy: readonly Verb[];
  /** Verbs for which the value, if any, is checked; DEL accepts odd CNI_ARGS, or its pod could never end. */
  readonly checkedBy: readonly Verb[];
  check(value: string): void;
}

const asIs = (): void => {};

/** In the reference library's order, which the message about missing ones keeps. Others are ignored. */
const VARIABLES: readonly Variable[] = [
  {
    name: "CNI_CONTAINERID",
    requiredBy: ["ADD", "CHECK", "DEL"],
    checkedBy: ["ADD", "CHECK", "DEL"],
    check: checkContainerId,
  },
  { name: "CNI_NETNS", requiredBy: ["ADD", "CHECK"], checkedBy: [], check: asIs },
  { name: "CNI_IFNAME", requiredBy: ["ADD", "CHECK", "DEL"], checkedBy: ["ADD", "CHECK", "DEL"], check: checkIfname },
  { name: "CNI_IFNAME", requiredBy: [], checkedBy: ["ADD"], check: checkLinkName },
  { name: "CNI_ARGS", requiredBy: [], checkedBy: ["ADD", "CHECK"], check: checkArgs },
  { name: "CNI_PATH", requiredBy: ["ADD", "CHECK", "DEL", "GC", "STATUS"], checkedBy: [], check: asIs },
];

/** Variables in which libcni passes its caller's trace: W3C Trace Context and Baggage, as OpenTelemetry defines for environments. */
const TRACE_VARIABLES: readonly string[] = ["TRACEPARENT", "TRACESTATE", "BAGGAGE"];

/** Whether a variable is part of a call: the caller's other variables are none of our business. */
export const isCallVariable = (name: string): boolean => name.startsWith("CNI_") || TRACE_VARIABLES.includes(name);

/** W3C Trace Context, "traceparent Header": version, trace id, parent id, flags; later versions may go on after another dash. */
const TRACEPARENT = /^(?!ff)[0-9a-f]{2}-(?!0{32})([0-9a-f]{32})-(?!0{16})[0-9a-f]{16}-[0-9a-f]{2}(?<rest>-.*)?$/;

/** @returns the trace that a call belongs to, 32 hexadecimal digits; undefined without one. */
export function traceIdOf({ TRACEPARENT: text = "" }: Readonly<Record<string, string>>): string | undefined {
  const found = TRACEPARENT.exec(text);
  return found?.groups?.rest && text.startsWith("00") ? undefined : found?.[1];
}

/** Container IDs and network names, SPEC.md 1.1.0: of unlimited length, so never used directly as a file name. */
export const NAME = /^[a-zA-Z0-9][a-zA-Z0-9_.-]*$/;

/**
 * Messages that the reference library (`pkg/skel`) also has are worded as there: people search for them, and callers
 * recognise an older plugin by "unknown CNI_COMMAND".
 *
 * @throws {CniError} 4, naming everything that is missing at once.
 */
export function readEnvironment(env: Readonly<Record<string, string>>): Environment {
  const verb = env.CNI_COMMAND ?? "";
  if (!isVerb(verb)) throw new CniError(CODE.INVALID_ENVIRONMENT, `unknown CNI_COMMAND: ${verb}`);
  const missing = VARIABLES.filter(({ name, requiredBy }) => requiredBy.includes(verb) && !env[name]);
  if (missing.length > 0)
    throw new CniError(
      CODE.INVALID_ENVIRONMENT,
      `required env variables [${missing.map(({ name }) => name).join(",")}] missing`,
    );
  for (const { name, checkedBy, check } of VARIABLES) if (env[name] && checkedBy.includes(verb)) check(env[name]);
  return {
    verb,
    containerId: env.CNI_CONTAINERID ?? "",
    netns: env.CNI_NETNS ?? "",
    ifname: env.CNI_IFNAME ?? "",
    path: (env.CNI_PATH ?? "").split(":").filter((dir) => dir !== ""),
    args: readArgs(env.CNI_ARGS ?? ""),
  };
}

/**
 * CNI_ARGS, `KEY=VALUE;…`: a value may contain `=`, the last of equal keys wins (thin Multus sends some twice), anything
 * but a pair is dropped. Unknown keys are kept. Values come from the cluster's users: never use them in a path or a shell.
 */
export function readArgs(text: string): Record<string, string> {
  return Object.fromEntries(
    text
      .split(";")
      .map((pair) => [pair, pair.indexOf("=")] as const)
      .filter(([, equals]) => equals > 0)
      .map(([pair, equals]) => [pair.slice(0, equals), pair.slice(equals + 1)]),
  );
}

/** Anything but a pair is an error unless IgnoreUnknown says otherwise; empty parts never are. */
function checkArgs(text: string): void {
  const ignore = readArgs(text).IgnoreUnknown;
  if (ignore !== undefined && !/^(1|0|true|false)$/i.test(ignore))
    throw invalid("CNI_ARGS", `IgnoreUnknown=${ignore}`, "IgnoreUnknown is true, 1, false or 0");
  if (/^(1|true)$/i.test(ignore ?? "")) return;
  const odd = text.split(";").find((pair) => pair !== "" && pair.indexOf("=") < 1);
  if (odd !== undefined) throw invalid("CNI_ARGS", odd, "want KEY=VALUE;KEY=VALUE");
}

function checkContainerId(id: string): void {
  if (!NAME.test(id))
    throw new CniError(CODE.INVALID_ENVIRONMENT, "invalid characters in containerID", { details: id });
}

/** Why a new link cannot have this name, by the specification and by Linux; undefined when it can. */
export function whyNoLinkName(name: string): string | undefined {
  return whyNoIfname(name) ?? whyRefused(name);
}

/** The specification's rules. The limit is in bytes. */
function checkIfname(name: string): void {
  const why = whyNoIfname(name);
  if (why) throw invalid("CNI_IFNAME", name, why);
}

function whyNoIfname(name: string): string | undefined {
  if (Buffer.byteLength(name) > 15) return "it is longer than 15 bytes";
  if (name === "." || name === "..") return "this name is taken by directories";
  return /[/:\p{White_Space}]/u.test(name) ? "it has a slash, colon or white space" : undefined;
}

/**
 * Linux's own rules for names, beyond the specification, applied to new links only; a DEL accepts such names, for
 * attachments of versions that did not check. `dev_prep_valid_name()` (net/core/dev.c) replaces `%d` by a number and
 * refuses any other `%`; its `isspace()` takes the byte 0xa0 for a space; `sysctl_dev_name_is_allowed()`
 * (net/ipv4/devinet.c) refuses the two names below which the settings of all links are.
 */
function checkLinkName(name: string): void {
  const why = whyRefused(name);
  if (why) throw invalid("CNI_IFNAME", name, why);
}

function whyRefused(name: string): string | undefined {
  if (name.includes("%")) return "the kernel makes another name of one with a percent sign";
  if (Buffer.from(name).includes(0xa0))
    return "it has a byte that the kernel takes for a space, 0xa0; use letters and digits";
  if (name.includes("\0")) return "it has a zero byte";
  return name === "all" || name === "default" ? "this name means something else to the kernel" : undefined;
}

function invalid(name: string, value: string, why: string): CniError {
  return new CniError(CODE.INVALID_ENVIRONMENT, `cannot use ${name} ${JSON.stringify(value)}: ${why}`);
}
