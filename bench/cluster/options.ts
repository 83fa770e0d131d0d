import { parseArgs } from "node:util";
import type { MultusForm } from "../../lab/kubelet/multus.ts";

export const USAGE = `usage: npm run bench cluster -- [option...]

Pods with four networks in a real cluster (etcd, API server, kubelet, containerd, Multus), by Railnet and by host-device
with Whereabouts in turn: how long Multus waits for the plugins. Prints a table, writes bench/out/cluster.json.
  --rounds N     one pod of each contestant, so often (default 10)
  --bursts N     that many pods at once of each, so often (default 3); 0 leaves them out
  --pods N       of a burst (default 20)
  --multus FORM  thin: an executable; process: a daemon of the node; pod: a daemon with the limits of its own manifest
                 (default thin)
  --check        exit with 1 when a promise was missed

Examples
  npm run bench cluster
  npm run bench cluster -- --rounds 3 --bursts 0
  npm run bench cluster -- --multus process --bursts 1`;

const OPTIONS = {
  rounds: { type: "string", default: "10" },
  bursts: { type: "string", default: "3" },
  pods: { type: "string", default: "20" },
  multus: { type: "string", default: "thin" },
  check: { type: "boolean", default: false },
  help: { type: "boolean", default: false },
} as const;

export interface Options {
  readonly rounds: number;
  readonly bursts: number;
  readonly pods: number;
  readonly multus: MultusForm;
  readonly check: boolean;
}

const FORMS: readonly MultusForm[] = ["thin", "process", "pod"];
/** Of a kubelet; a few are going while others come. */
const MOST_PODS = 50;

/** Undefined: help is asked for. */
export function parseOptions(args: readonly string[]): Options | undefined {
  const { values } = parseArgs({ args: [...args], options: OPTIONS });
  if (values.help) return undefined;
  const multus = FORMS.find((form) => form === values.multus);
  if (!multus) throw new Error(`cannot use --multus ${values.multus}: not one of ${FORMS.join(", ")} (EINVAL)`);
  return {
    rounds: count("--rounds", values.rounds, 1, 1000),
    bursts: count("--bursts", values.bursts, 0, 1000),
    pods: count("--pods", values.pods, 1, MOST_PODS),
    multus,
    check: values.check,
  };
}

function count(option: string, value: string, least: number, most: number): number {
  if (/^\d+$/.test(value) && Number(value) >= least && Number(value) <= most) return Number(value);
  throw new Error(`cannot use ${option} ${value}: a number from ${least} to ${most} is expected (EINVAL)`);
}
