import type { IpLink, IpVf, State, Step } from "./record.ts";

/** A step's outcome, in a form in which two runs can be compared. `undefined` = nothing is said of it, `null` = not there. */
export interface Outcome {
  readonly exit?: number | undefined;
  readonly error?: { readonly code: number } | undefined;
  /** The result's interfaces, and the rest of it. */
  readonly interfaces?: readonly object[] | undefined;
  readonly rest?: object | undefined;
  /** Attachments that the plugin remembers. */
  readonly remembered?: number | undefined;
  readonly pf?: object | undefined;
  /** The PF's settings for the VF. */
  readonly vf?: IpVf | undefined;
  readonly host?: IpLink | null | undefined;
  readonly pod?:
    | { readonly links: readonly IpLink[]; readonly routes: readonly object[]; readonly routes6: readonly object[] }
    | null
    | undefined;
}

/**
 * What belongs to the machine or to the moment and not to the plugin. `permaddr` is what igbvf was told at its last reset;
 * the queueing discipline of a link that is down tells whether it was ever up.
 */
const NOISE =
  /^(ifindex|num_[tr]x_queues|gso_max_(size|segs)|tso_max_(size|segs)|gro_max_size|m(in|ax)_mtu|txqlen|linkmode|link_type|group|parentbus|(valid|preferred)_life_time|operstate|tentative|optimistic|permaddr|vfinfo_list)$/;
/** The carrier comes when it comes. */
const MOMENTARY_FLAGS = ["LOWER_UP", "NO-CARRIER"];

/** Takes PF, VF and pod of a state apart. @param index of the VF at its PF. */
export function outcomeOfState(state: State, index: number): Outcome {
  const pf = state.pf[0]!;
  const host = state.host_vf?.[0];
  return {
    pf: clean(pf),
    vf: clean(pf.vfinfo_list!.find((v) => v.vf === index)!) as IpVf,
    host: host ? clean(host) : null,
    pod: state.pod_addr
      ? { links: byName(state.pod_addr.map(clean)), routes: sorted(state.pod_route), routes6: sorted(state.pod_route6) }
      : null,
  };
}

export function outcomeOfAnswer(exit: number, json: Answer | undefined): Outcome {
  if (exit !== 0) return { exit, error: { code: json?.code ?? 0 } };
  if (!json) return { exit };
  const { interfaces = [], cniVersion, ...rest } = json;
  return { exit, interfaces, rest: { cniVersion, ...rest } };
}

/** What a plugin printed: a result, an error or nothing. */
export interface Answer {
  readonly code?: number;
  readonly msg?: string;
  readonly interfaces?: object[];
  readonly cniVersion?: string;
}

/** The outcome that a record tells. */
export function outcomeOfStep(step: Step, index: number): Outcome {
  const remembered = Object.keys(step.state_files).filter((file) => /^\.\/sriov\/[^/]+$/.test(file)).length;
  const answer =
    step.exit === undefined ? {} : outcomeOfAnswer(step.exit, step.stdout ? JSON.parse(step.stdout) : undefined);
  return { ...answer, remembered, ...outcomeOfState(step, index) };
}

/** `actual` without what `expected` says nothing of. */
export function only(actual: Outcome, expected: Outcome): Outcome {
  return Object.fromEntries(Object.entries(actual).filter(([key]) => expected[key as keyof Outcome] !== undefined));
}

/** `expected` without what it says nothing of. */
export const said = (expected: Outcome): Outcome => only(expected, expected);

function clean<T>(value: T): T {
  if (Array.isArray(value)) return value.map(clean) as T;
  if (typeof value !== "object" || value === null) return value;
  const { qdisc, ...entries } = value as Record<string, unknown>;
  const isDown = Array.isArray(entries["flags"]) && !entries["flags"].includes("UP");
  return Object.fromEntries([
    ...(qdisc === undefined || isDown ? [] : [["qdisc", qdisc]]),
    ...Object.entries(entries).flatMap(([key, entry]) => (NOISE.test(key) ? [] : [[key, cleanEntry(key, entry)]])),
  ]) as T;
}

function cleanEntry(key: string, entry: unknown): unknown {
  if (key === "flags") return (entry as string[]).filter((flag) => !MOMENTARY_FLAGS.includes(flag)).sort();
  if (key === "ifalias") return MARK.exec(entry as string)?.[0] ?? entry;
  return clean(entry);
}

/** Of our mark on a link, what says which VF it is. */
const MARK = /^railnet \S+ \S+/;

const byName = (links: readonly IpLink[]) => [...links].sort((a, b) => a.ifname.localeCompare(b.ifname));
const sorted = (routes: readonly object[] = []) =>
  routes.map(clean).sort((a, b) => JSON.stringify(a).localeCompare(JSON.stringify(b)));
