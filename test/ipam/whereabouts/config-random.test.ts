import t from "tap";
import { CniError } from "../../../cni/protocol/error.ts";
import * as fc from "../../../lab/properties.ts";
import { callOf, FLAT_FILE, type Given, read } from "./support.ts";

const KEYS = ["type", "range", "Range", "range_start", "range_end", "exclude", "ipRanges", "gateway", "routes", "dns", "addresses", "network_name", "enable_overlapping_ranges", "node_slice_size", "kubernetes", "log_file", "configuration_path", "same_index", "exclude_gateway", "dst", "address", "kubeconfig", "nameservers", "__proto__", "constructor"]; // biome-ignore format: words
const word = fc.constantFrom("", "whereabouts", "railnet-ipam", "10.0.0.0/24", "10.0.0.5", "10.0.0.9-10.0.0.20/24", "fd00::/64", "::/0", "0.0.0.0/0", "10.0.0.0/99", "-", "/24", "x", "ü", "10.0.0.0/31", "255.255.255.255/24"); // biome-ignore format: words
const { value } = fc.letrec<{ value: unknown }>((tie) => ({
  value: fc.oneof(
    { maxDepth: 4 },
    word,
    fc.constantFrom(null, true, false, 0, -1, 1.5, 2 ** 60),
    fc.array(tie("value"), { maxLength: 3 }),
    fc.dictionary(fc.constantFrom(...KEYS), tie("value"), { maxKeys: 6 }),
  ),
}));
/** Now and then one that is good. */
const likely = fc.record(
  {
    type: fc.constantFrom("whereabouts", "railnet-ipam"),
    range: fc.constantFrom("10.0.0.0/24", "10.0.0.9-10.0.0.20/24", "::/0", "0.0.0.0/0", "255.255.255.255/24"),
    range_start: word,
    exclude: fc.array(fc.constantFrom("10.0.0.0/26", "10.0.0.77", "fd00::/16"), { maxLength: 3 }),
    ipRanges: fc.array(fc.record({ range: fc.constantFrom("fd00::/64", "10.1.0.0/30"), range_end: word }), {
      maxLength: 2,
    }),
    gateway: fc.constantFrom("10.0.0.1", "fd00::1"),
    addresses: fc.array(fc.record({ address: fc.constantFrom("10.8.0.1/24", "10.8.0.1") }), { maxLength: 2 }),
    other: value,
  },
  { requiredKeys: ["type"] },
);
const args = fc.array(fc.constantFrom("IgnoreUnknown=1", "K8S_POD_NAME=p", "K8S_POD_NAME=p", "IP=", "IP=10.0.0.5/24", "IP=x", "GATEWAY=x", "FOO=bar", "", "=", "a=b=c"), { maxLength: 5 }).map((parts) => parts.join(";")); // biome-ignore format: words

t.test("readIpamConfig() never throws anything but a CniError, whatever the configuration", async () => {
  let whole = 0;
  fc.assert(
    fc.property(
      fc.oneof(likely, value),
      fc.oneof(fc.constant([]), value),
      fc.oneof(fc.constant({}), value),
      args,
      fc.constantFrom("ADD", "CHECK", "DEL", "GC", "STATUS"),
      (ipam, ips, flatFile, args, verb) => {
        const given = {
          verb,
          version: "1.1.0",
          ipam,
          args,
          rest: { runtimeConfig: { ips } },
          files: { [FLAT_FILE]: JSON.stringify(flatFile) },
          policy: { kubeconfig: "/k" },
        };
        if (!isRead(given)) return;
        try {
          read(given);
          whole++;
        } catch (error) {
          if (!(error instanceof CniError)) throw error;
        }
      },
    ),
    { numRuns: 5_000 },
  );
  if (whole < 100) throw new Error(`only ${whole} configurations were good: the property says little`);
});

/** What the protocol refuses before us is another test's. */
function isRead(given: Given): boolean {
  try {
    callOf(given);
    return true;
  } catch {
    return false;
  }
}
