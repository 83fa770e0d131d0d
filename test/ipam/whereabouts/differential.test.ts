import { spawnSync } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import t from "tap";
import { toCniError } from "../../../cni/protocol/error.ts";
import { configuration, environment, type Given, POD, read } from "./support.ts";

const PEER = ".cache/peers/bin/whereabouts";

const dir = mkdtempSync(join(tmpdir(), "whereabouts-"));
t.teardown(() => rmSync(dir, { recursive: true }));

/** What it says when there is nothing wrong with a configuration: the next thing it does is to open the kubeconfig. */
const FINE = "failed to create Kubernetes IPAM manager: open /nonexistent: no such file or directory";

const RANGE = "10.0.0.0/24";
const FIXED = { address: "10.9.0.1/24", gateway: "10.9.0.254" };

/** Each goes to Whereabouts' own executable and to ours, which must say the same. */
const CASES: readonly (Given & { when: string; ipam: object; flat?: object | string | undefined })[] = [
  { when: "a range", ipam: { range: RANGE } },
  { when: "no range at all", ipam: {} },
  { when: "a range that is none", ipam: { range: "asdf" } },
  { when: "an empty range in ipRanges", ipam: { ipRanges: [{}] } },
  { when: "a range that is an address", ipam: { range: "10.0.0.0" } },
  { when: "leading zeros in a range", ipam: { range: "00192.00168.1.5-000000192.168.1.25/24" } },
  { when: "a start outside of its network", ipam: { range: "192.168.1.5-192.168.2.25/28" } },
  { when: "a start of the other family", ipam: { range: "fd00::5-192.168.2.25/28" } },
  { when: "a start that is none", ipam: { range: "x-192.168.2.25/28" } },
  { when: "an end without prefix length", ipam: { range: "192.168.1.5-192.168.1.25" } },
  { when: "an end before its start", ipam: { range: "10.0.0.9-10.0.0.5/24" } },
  { when: "three addresses in a range", ipam: { range: "10.0.0.1-10.0.0.5-10.0.0.9/24" } },
  { when: "the first of two wrong ranges", ipam: { range: "a", ipRanges: [{ range: "b" }] } },
  { when: "a wrong range in ipRanges", ipam: { range: RANGE, ipRanges: [{ range: "b/8" }] } },
  { when: "range_start that is none, which it passes over", ipam: { range: RANGE, range_start: "x", range_end: "y" } },
  { when: "range_start that is none in ipRanges", ipam: { ipRanges: [{ range: RANGE, range_start: "x" }] } },
  { when: "range_end with leading zeros in ipRanges", ipam: { ipRanges: [{ range: RANGE, range_end: "10.0.0.09" }] } },
  { when: "empty bounds in ipRanges", ipam: { ipRanges: [{ range: RANGE, range_start: "", range_end: null }] } },
  { when: "a gateway that is none", ipam: { range: RANGE, gateway: "x" } },
  { when: "a gateway with leading zeros", ipam: { range: RANGE, gateway: "010.0.0.1" } },
  { when: "no ipam at all", ipam: {}, rest: { ipam: undefined } },
  { when: "no flat file", ipam: { range: RANGE }, flat: undefined },
  { when: "a wrong range and no flat file", ipam: { range: "x" }, flat: undefined },
  { when: "unknown CNI_ARGS and no flat file", ipam: { range: RANGE }, flat: undefined, args: "FOO=bar" },
  { when: "another type", ipam: { type: "static" } },
  { when: "no type", ipam: { type: "" } },
  { when: "keys in capitals", ipam: { RANGE: "x/8" } },
  { when: "keys of ipRanges in capitals", ipam: { IPRanges: [{ Range: "x/8" }] } },
  { when: "a wrong range in the flat file", ipam: {}, flat: { range: "x/8" } },
  { when: "a range beside one in the flat file", ipam: { range: "y/8" }, flat: { range: "x/8" } },
  { when: "an empty list beside one in the flat file", ipam: { ipRanges: [] }, flat: { ipRanges: [{ range: "x/8" }] } },
  {
    when: "a gateway beside one in the flat file",
    ipam: { range: RANGE, gateway: "10.0.0.1" },
    flat: { gateway: "x" },
  },
  { when: "a wrong gateway in the flat file", ipam: { range: RANGE }, flat: { gateway: "x" } },
  { when: "a flat file without kubeconfig", ipam: { range: RANGE }, flat: { kubernetes: {} } },
  { when: "a wrong range and no kubeconfig", ipam: { range: "x" }, flat: { kubernetes: {} } },
  { when: "a wrong gateway and no kubeconfig", ipam: { range: RANGE, gateway: "x" }, flat: { kubernetes: {} } },
  { when: "null for a flat file", ipam: { range: RANGE }, flat: "null" },
  { when: "a fixed address", ipam: { addresses: [FIXED] } },
  { when: "a fixed address that is none", ipam: { addresses: [{ address: "10.9.0.1" }] } },
  { when: "a fixed address with leading zeros", ipam: { addresses: [{ address: "010.9.0.1/24" }] } },
  { when: "a fixed address' gateway that is none", ipam: { addresses: [{ address: "10.9.0.1/24", gateway: "x" }] } },
  { when: "two fixed addresses of a family in 0.2.0", version: "0.2.0", ipam: { addresses: [FIXED, FIXED] } },
  { when: "two fixed addresses of a family in 0.1.0", version: "0.1.0", ipam: { addresses: [FIXED, FIXED] } },
  { when: "two fixed addresses of a family in 0.3.0", version: "0.3.0", ipam: { addresses: [FIXED, FIXED] } },
  { when: "two families in 0.2.0", version: "0.2.0", ipam: { addresses: [FIXED, { address: "fd09::1/64" }] } },
  { when: "CNI_ARGS IP", ipam: {}, args: `${POD};IP=10.8.0.1/24, 10.8.1.1/24` },
  { when: "CNI_ARGS IP without prefix length", ipam: {}, args: `${POD};IP=10.8.0.1` },
  { when: "CNI_ARGS IP with an empty part", ipam: {}, args: `${POD};IP=10.8.0.1/24,` },
  { when: "an empty CNI_ARGS IP", ipam: {}, args: `${POD};IP=` },
  { when: "CNI_ARGS IP in 0.2.0", version: "0.2.0", ipam: { addresses: [FIXED] }, args: `${POD};IP=10.8.0.1/24` },
  { when: "CNI_ARGS GATEWAY that is none", ipam: {}, args: `${POD};GATEWAY=x` },
  { when: "unknown CNI_ARGS", ipam: { range: RANGE }, args: 'FOO=bar;K8S_POD_NAME=p;BAR="é"' },
  {
    when: "unknown CNI_ARGS that are to be ignored",
    ipam: { range: RANGE },
    args: "IgnoreUnknown=true;K8S_POD_NAME=p;FOO=bar",
  },
  { when: "unknown CNI_ARGS and IgnoreUnknown=0", ipam: { range: RANGE }, args: "IgnoreUnknown=0;FOO=bar" },
  { when: "CNI_ARGS that end in a semicolon", ipam: { range: RANGE }, args: `${POD};` },
  { when: "CNI_ARGS with two equals signs", ipam: { range: RANGE }, args: `${POD};IP=a=b` },
  { when: "wrong CNI_ARGS and a wrong range", ipam: { range: "x" }, args: "FOO=bar" },
  { when: "another type and wrong CNI_ARGS", ipam: { type: "static" }, args: "FOO=bar" },
];

for (const { when, ...given } of CASES)
  t.test(`readIpamConfig() says what Whereabouts says: ${when}`, async (t) => {
    const file = join(dir, "whereabouts.conf");
    const files = "flat" in given && given.flat === undefined ? {} : { [file]: flatFile(given.flat) };
    rmSync(file, { force: true });
    for (const [path, text] of Object.entries(files)) writeFileSync(path, text);
    const whole = { ...given, ipam: { ...given.ipam, configuration_path: file } };
    const peer = spawnSync(PEER, { env: environment(whole), input: configuration(whole), encoding: "utf8" });
    t.equal(peer.error, undefined, "the peer runs (scripts/setup.sh peers)");
    t.same(ours({ ...whole, files }), JSON.parse(peer.stdout));
  });

function flatFile(flat: object | string = {}): string {
  if (typeof flat === "string") return flat;
  return JSON.stringify({ kubernetes: { kubeconfig: "/nonexistent" }, log_level: "panic", ...flat });
}

function ours(given: Given): { code: number; msg: string } {
  try {
    read({ ...given, policy: { trustNetworkConfig: true, flatFiles: [] } });
    return { code: 999, msg: FINE };
  } catch (error) {
    const { code, message } = toCniError(error);
    return { code, msg: message };
  }
}
