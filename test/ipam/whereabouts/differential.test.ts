import { spawnSync } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { isDeepStrictEqual } from "node:util";
import t from "tap";
import { toCniError } from "../../../cni/protocol/error.ts";
import * as fc from "../../../lab/properties.ts";
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
  {
    when: "range_start that is none in ipRanges of the flat file",
    ipam: { range: RANGE },
    flat: { ipRanges: [{ range_start: "x" }] },
  },
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
    t.same(ours({ ...whole, files }), theirs(whole));
  });

const ODD = ["", "010.0.0.5", "0.0.0.0/0", "::/0", "10.0.0.0/99", "10.0.0.0/024", "-", "/24", "x", "fd00::00005", "1:2:3:4:5:6:7::", "::1.2.3.4/96", "10.0.0.1-fd00::/64", " 10.0.0.1", "10.0.0.1 /24", "10.0.0.1/ 24", "fe80::1%eth0/64", "10.0.0.1/-1", "10.0.0.1/+8", "1.2.3.4.5/8", "1.2.3/8", "::-::/10", "--/8", "10.0.0.0/8/8"]; // biome-ignore format: words
const odd = fc.constantFrom(...ODD);
const likely = (...usual: string[]) => fc.oneof({ weight: 6, arbitrary: fc.constantFrom(...usual) }, odd);
const ip = likely("10.0.0.5", "fd00::7", "");
const cidr = likely("10.0.0.0/24", "10.0.0.5-10.0.0.9/24", "fd00::/64", "10.0.0.7/024");
const entry = fc.record({ range: cidr, range_start: ip, range_end: ip }, { requiredKeys: [] });
const address = fc.record({ address: likely("10.8.0.1/24", "fd08::1/64"), gateway: ip }, { requiredKeys: [] });
const ipam = fc.record(
  {
    range: cidr,
    range_start: odd,
    range_end: odd,
    gateway: ip,
    ipRanges: fc.array(entry, { maxLength: 2 }),
    addresses: fc.array(address, { maxLength: 2 }),
  },
  { requiredKeys: [] },
);
const flat = fc.record(
  { range: cidr, gateway: ip, ipRanges: fc.array(entry, { maxLength: 1 }), kubernetes: fc.constant({}) },
  { requiredKeys: [] },
);
const pairs = fc.constantFrom("IgnoreUnknown=1", "IP=", "IP=10.9.0.5/24", "IP=x", "IP= 10.9.0.5/24 ,fd09::1/64", "GATEWAY=x", "GATEWAY=10.9.0.1", "FOO=bar", "ignoreunknown=1"); // biome-ignore format: words
const args = fc.array(pairs, { maxLength: 3 }).map((some) => [POD, ...some].join(";"));

/** What README.md of ipam/whereabouts has under "Fixed". */
const isOursAlone = (msg: string): boolean => /^(cannot use|error at storage engine)/.test(msg);

t.test("readIpamConfig() says what Whereabouts says of any configuration", async () => {
  fc.assert(
    fc.property(ipam, flat, args, fc.constantFrom("0.2.0", "0.4.0", "1.0.0"), (ipam, flat, args, version) => {
      const file = join(dir, "whereabouts.conf");
      writeFileSync(file, flatFile(flat));
      const given = { ipam: { ...ipam, configuration_path: file }, args, version, files: { [file]: flatFile(flat) } };
      const said = ours(given);
      return isOursAlone(said.msg) || isDeepStrictEqual(said, theirs(given));
    }),
    { numRuns: 150 },
  );
});

function theirs(given: Given): { code: number; msg: string } {
  const { error, stdout } = spawnSync(PEER, { env: environment(given), input: configuration(given), encoding: "utf8" });
  if (error) throw new Error("the peer does not run (scripts/setup.sh peers)", { cause: error });
  return JSON.parse(stdout);
}

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
