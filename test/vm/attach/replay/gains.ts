import type { Vf } from "../support/node.ts";
import type { Outcome } from "./outcome.ts";
import type { IpLink, Step } from "./record.ts";

/** Where a gain is looked at: a recorded step, and what we saw on this machine before it. */
export interface Scene {
  readonly step: Step;
  readonly vf: Vf;
  /** Immediately before the step. */
  readonly before: Outcome;
  /** Before the first ADD that put the VF into a pod; undefined when there was none. */
  readonly beforeAdd: Outcome | undefined;
}

/** A difference from the real sriov-cni that is wanted. `expect` turns what it did into what we must do. */
export interface Gain {
  readonly name: string;
  readonly why: string;
  readonly applies: (scene: Scene, recorded: Outcome) => boolean;
  readonly expect: (recorded: Outcome, scene: Scene) => Outcome;
}

const config = ({ step: { stdin } }: Scene): Record<string, unknown> => (typeof stdin === "object" ? { ...stdin } : {});
const isAdd = ({ step }: Scene) => step.env?.["CNI_COMMAND"] === "ADD";
const says = ({ step }: Scene, text: string) => step.stdout?.includes(text) ?? false;
const NO_TRUST = "cannot assign requested address";

/** Whether the input asks for a MAC, in any of the ways sriov-cni knows. */
const hasMac = ({ stdin, env }: Step) =>
  /"mac":"/i.test(JSON.stringify(stdin)) || /\bMAC=/.test(env?.["CNI_ARGS"] ?? "");

/** Its words → our code: every error has a code that says what kind it is, where it has 999 throughout. */
const CODES: readonly (readonly [words: RegExp, code: number])[] = [
  [/failed to open netns/, 8],
  [/failed to get VF information/, 101],
  [/already allocated|file exists/, 102],
  [/failed to find plugin/, 100],
  [/failed to set up IPAM/, 999], // the IPAM plugin's own, passed on
  [/LoadConf\(\)|failed to parse MAC address/, 7],
  [/./, 100],
];

/** Every difference that is allowed; all else must be equal. */
export const GAINS: readonly Gain[] = [
  {
    name: "the error's code says what went wrong",
    why: "999 for everything leaves a runtime nothing to decide on",
    applies: ({ step }) => step.exit !== undefined && step.exit !== 0 && says({ step } as Scene, '"code": 999'),
    expect: (recorded, { step }) => ({
      ...recorded,
      error: { code: CODES.find(([words]) => words.test(step.stdout!))![1] },
    }),
  },
  {
    name: "a failed ADD leaves everything as it was",
    why: "sriov-cni leaves the VLAN of a failed ADD (case 29), and renames another link of the pod at a name clash (18)",
    applies: (scene) => isAdd(scene) && scene.step.exit !== 0,
    expect: (recorded, { before: { pf, vf, host, pod } }) => ({ ...recorded, pf, vf, host, pod }),
  },
  {
    name: "an untrusted VF gets its MAC",
    why: "igb refuses a VF's own MAC without trust; trust is lent for the moment (case 03)",
    applies: (scene) => isAdd(scene) && says(scene, NO_TRUST) && typeof config(scene)["mac"] === "string",
    expect: ({ pf }, scene) => ({
      exit: 0,
      interfaces: [
        {
          mac: String(config(scene)["mac"]).toLowerCase(),
          mtu: scene.before.host?.mtu,
          name: scene.step.env!["CNI_IFNAME"],
          sandbox: scene.step.env!["CNI_NETNS"],
        },
      ],
      remembered: 1,
      pf,
      vf: { ...scene.before.vf!, address: String(config(scene)["mac"]).toLowerCase() },
      host: null,
    }),
  },
  {
    name: "DEL brings everything back",
    why: "sriov-cni leaves the VF in the pod when CNI_NETNS is empty (case 25), under the pod's name and MAC when the namespace is gone (24)",
    applies: ({ step, beforeAdd, vf }, { host }) =>
      step.env?.["CNI_COMMAND"] === "DEL" && step.exit === 0 && beforeAdd !== undefined && host?.ifname !== vf.name,
    expect: (recorded, { beforeAdd }) => ({
      ...recorded,
      vf: beforeAdd!.vf,
      host: beforeAdd!.host,
      pod: recorded.pod && beforeAdd!.pod,
    }),
  },
  {
    name: "DEL takes the administrative MAC back",
    why: "the PF shows what it showed before ADD, none; sriov-cni leaves the VF's own MAC there (cases 11, 12, 13)",
    applies: ({ step, beforeAdd, vf }, recorded) =>
      step.env?.["CNI_COMMAND"] === "DEL" && recorded.vf?.address === vf.mac && hasMac(step) && beforeAdd !== undefined,
    expect: (recorded, { beforeAdd }) => ({ ...recorded, vf: { ...recorded.vf!, address: beforeAdd!.vf!.address } }),
  },
  {
    name: "DEL of what never came to be changes nothing",
    why: "nothing is left of a failed ADD that DEL would have to see",
    applies: ({ step, before }) => step.env?.["CNI_COMMAND"] === "DEL" && before.remembered === 0,
    expect: (recorded, { before: { pf, vf, host, pod } }) => ({ ...recorded, pf, vf, host, pod }),
  },
  {
    name: "the result names the VF",
    why: "CNI 1.1.0 has pciID for it",
    applies: ({ step }, { interfaces }) =>
      interfaces !== undefined && (config({ step } as Scene)["cniVersion"] as string) >= "1.1.0",
    expect: (recorded, { vf }) => ({
      ...recorded,
      interfaces: recorded.interfaces!.map((i) => ({ ...i, pciID: vf.pci })),
    }),
  },
  {
    name: "the link carries a mark",
    why: "its alias tells which VF it is, also when it falls back to the host under another name",
    applies: (_, { pod, host }) => Boolean(pod || host),
    expect: (recorded, { vf }) => {
      const mark = (l: IpLink) =>
        l.parentdev === vf.pci && l.ifname !== vf.name ? { ...l, ifalias: `railnet ${vf.pci} ${vf.name}` } : l;
      return {
        ...recorded,
        ...(recorded.host && { host: mark(recorded.host) }),
        ...(recorded.pod && { pod: { ...recorded.pod, links: recorded.pod.links.map(mark) } }),
      };
    },
  },
];

/** What we must do where sriov-cni did `recorded`, and the gains that make the difference. */
export function expected(recorded: Outcome, scene: Scene): { outcome: Outcome; gains: string[] } {
  let outcome = recorded;
  const gains: string[] = [];
  for (const gain of GAINS) {
    if (!gain.applies(scene, outcome)) continue;
    outcome = gain.expect(outcome, scene);
    gains.push(gain.name);
  }
  return { outcome, gains };
}
