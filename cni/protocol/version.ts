import { CniError, CODE } from "./error.ts";

/** What a plugin does. VERSION is not among them: dispatch() answers it, before any version is known. */
export type Verb = "ADD" | "CHECK" | "DEL" | "GC" | "STATUS";

/** Every version of the CNI specification, oldest first. All are supported. */
export const SUPPORTED_VERSIONS = ["0.1.0", "0.2.0", "0.3.0", "0.3.1", "0.4.0", "1.0.0", "1.1.0"] as const;
export type CniVersion = (typeof SUPPORTED_VERSIONS)[number];

/** The version to use when none is known: errors before a configuration is read, and VERSION. */
export const LATEST_VERSION: CniVersion = "1.1.0";

/** What a configuration without cniVersion means (SPEC.md, "Network configuration format"). */
export const DEFAULT_VERSION: CniVersion = "0.1.0";

/** The first version that has a verb. */
const VERB_SINCE: Readonly<Record<Verb, CniVersion>> = {
  ADD: "0.1.0",
  DEL: "0.1.0",
  CHECK: "0.4.0",
  GC: "1.1.0",
  STATUS: "1.1.0",
};

/**
 * How a version represents a result.
 *
 * - `families`: at most one address each in `ip4` and `ip6`, with the routes of its family; no interfaces.
 * - `labelled`: lists; every address says `version: "4"` or `"6"`; an interface is name, mac and sandbox.
 * - `plain`: lists; an empty `dns` is omitted.
 */
export type ResultForm = "families" | "labelled" | "plain";

const RESULT_FORM: Readonly<Record<CniVersion, ResultForm>> = {
  "0.1.0": "families",
  "0.2.0": "families",
  "0.3.0": "labelled",
  "0.3.1": "labelled",
  "0.4.0": "labelled",
  "1.0.0": "plain",
  "1.1.0": "plain",
};

/** Exact, as in libcni: "0.3" and "1.1.1" are unknown versions. */
export const isSupported = (version: unknown): version is CniVersion =>
  (SUPPORTED_VERSIONS as readonly unknown[]).includes(version);

export const isVerb = (text: string): text is Verb => Object.hasOwn(VERB_SINCE, text);

/** @throws {CniError} 1 for an unsupported version. */
export function resultForm(version: string): ResultForm {
  return RESULT_FORM[supported(version)];
}

/** @throws {CniError} 1 for an unsupported version, or one that does not have the verb. */
export function checkVerb(verb: Verb, version: string): void {
  const since = VERB_SINCE[verb];
  if (SUPPORTED_VERSIONS.indexOf(supported(version)) < SUPPORTED_VERSIONS.indexOf(since))
    throw new CniError(
      CODE.INCOMPATIBLE_VERSION,
      `cannot ${verb}: cniVersion ${version} does not have it, ${since} and later do`,
    );
}

function supported(version: string): CniVersion {
  if (isSupported(version)) return version;
  throw new CniError(CODE.INCOMPATIBLE_VERSION, `cannot speak cniVersion "${version}"`, {
    details: `supported versions: ${SUPPORTED_VERSIONS.join(", ")}`,
  });
}
