import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import t from "tap";
import type { HeldAddress } from "../../cli/ipam/addresses.ts";
import { explain } from "../../cli/ipam/explain/plan-explain.ts";
import { add } from "../../ipam/add.ts";
import { parseIp, toNumber } from "../../ipam/address.ts";
import type { IpamHost } from "../../ipam/host.ts";
import { claimOrder, type PoolRange } from "../../ipam/pool-range.ts";
import { MemoryStore } from "../../ipam/store/memory.ts";
import type { Claim, Owner } from "../../ipam/store/store.ts";
import * as fc from "../../lab/properties.ts";
import { callOf, type Given, read } from "./whereabouts/support.ts";

/** Keeps what the store was told, to be read without its code. */
class Ledger extends MemoryStore {
  readonly held: { claim: Claim; owner: Owner }[] = [];
  override async claim(claim: Claim) {
    const holder = await super.claim(claim);
    if (!holder) {
      const others = this.held.filter((one) => one.claim.ip !== claim.ip || one.claim.pool.name !== claim.pool.name);
      this.held.splice(0, Infinity, ...others, { claim, owner: claim.owner });
    }
    return holder;
  }

  addresses(): HeldAddress[] {
    return this.held.map(({ claim: { pool, ip }, owner: { podref, ifname, containerId } }) => ({
      ...{ ip, network: pool.network, pool: pool.name, podref, ifname, node: "", podUid: "", containerId, since: "" },
      by: "both",
    }));
  }
}

const POLICY = { directory: "/addresses" };
const given = (ipam: object, pod: string, rest: object = {}): Given => ({
  ipam,
  rest,
  policy: POLICY,
  files: {},
  args: `IgnoreUnknown=1;K8S_POD_NAMESPACE=default;K8S_POD_NAME=${pod}`,
});

function node(t: { teardown(end: () => void): void }) {
  const stateDir = mkdtempSync(join(tmpdir(), "ranges-"));
  t.teardown(() => rmSync(stateDir, { recursive: true }));
  const store = new Ledger();
  const nothing = () => {};
  const host: IpamHost = {
    ...{ stateDir, node: "node-a", log: { info: nothing, warn: nothing }, signal: new AbortController().signal },
    ...{ policy: POLICY, inode: () => 1, readText: () => undefined, wasReleased: () => false, step: nothing },
    lock: async () => ({ [Symbol.dispose]: nothing }),
    store: async () => store,
    releaseSoon: async () => {},
  };
  let sandbox = 0;
  return {
    store,
    /** ADD of a new sandbox, or of the same again. */
    async add(ipam: object, pod: string, { rest = {}, again = false }: { rest?: object; again?: boolean } = {}) {
      const call = callOf(given(ipam, pod, rest));
      if (!again) sandbox++;
      const { ips } = await add({ ...call, containerId: `${pod}-${sandbox}` }, host);
      return ips.map(({ address }) => address.split("/")[0]!);
    },
    explain(ipam: object, pod: string, rest: object = {}) {
      const { ranges, asked, fixed, podref } = read(given(ipam, pod, rest));
      const all = fixed.map(({ address }) => address.split("/")[0]!);
      const question = { podref, ifname: "net1", asked, fixed: all, order: "lowest" } as const;
      return explain(ranges, store.addresses(), question).map(({ ip }) => ip);
    },
  };
}

const TWICE = { range: "10.0.0.0/24", ipRanges: [{ range: "10.0.0.0/24" }] };
for (const { when, ipam, rest = {}, want, next } of [
  { when: "bounds apart", ipam: { ipRanges: [{ range: "10.0.0.0/24", range_start: "10.0.0.10", range_end: "10.0.0.19" }, { range: "10.0.0.0/24", range_start: "10.0.0.100", range_end: "10.0.0.109" }] }, want: ["10.0.0.10", "10.0.0.100"], next: ["10.0.0.11", "10.0.0.101"] },
  { when: "`first-last/bits` twice", ipam: { ipRanges: [{ range: "10.0.0.10-10.0.0.19/24" }, { range: "10.0.0.100-10.0.0.109/24" }] }, want: ["10.0.0.10", "10.0.0.100"], next: ["10.0.0.11", "10.0.0.101"] },
  { when: "the same range in `range` and `ipRanges`", ipam: TWICE, want: ["10.0.0.1", "10.0.0.2"], next: ["10.0.0.3", "10.0.0.4"] },
  { when: "one within the other", ipam: { ipRanges: [{ range: "10.0.0.0/24" }, { range: "10.0.0.1-10.0.0.9/24" }] }, want: ["10.0.0.2", "10.0.0.1"], next: ["10.0.0.4", "10.0.0.3"] },
  { when: "pools that overlap, their records alone deciding", ipam: { enable_overlapping_ranges: false, ipRanges: [{ range: "10.0.0.0/24" }, { range: "10.0.0.0/25" }] }, want: ["10.0.0.2", "10.0.0.1"], next: ["10.0.0.1", "10.0.0.2"] },
  { when: "pools that overlap", ipam: { ipRanges: [{ range: "10.0.0.0/25" }, { range: "10.0.0.0/24" }] }, want: ["10.0.0.1", "10.0.0.2"], next: ["10.0.0.3", "10.0.0.4"] },
  { when: "a fixed address within the range", ipam: { range: "10.0.0.0/24", addresses: [{ address: "10.0.0.1/24" }] }, want: ["10.0.0.2", "10.0.0.1"], next: ["10.0.0.3", "10.0.0.1"] },
  { when: "IPv6 bounds apart", ipam: { ipRanges: [{ range: "fd00::a-fd00::f/64" }, { range: "fd00::1a-fd00::1f/64" }] }, want: ["fd00::a", "fd00::1a"], next: ["fd00::b", "fd00::1b"] },
  { when: "a wish for the second", ipam: { ipRanges: [{ range: "10.0.0.10-10.0.0.19/24" }, { range: "10.0.0.10-10.0.0.109/24" }] }, rest: { runtimeConfig: { ips: ["10.0.0.100"] } }, want: ["10.0.0.10", "10.0.0.100"], next: undefined },
  { when: "a wish for what the other one would take", ipam: TWICE, rest: { runtimeConfig: { ips: ["10.0.0.2"] } }, want: ["10.0.0.2", "10.0.0.1"], next: undefined },
] as { when: string; ipam: object; rest?: object; want: string[]; next: string[] | undefined }[]) // biome-ignore format: rows
  t.test(`ADD gives each range an address of its own, as explain says: ${when}`, async (t) => {
    const { add, explain } = node(t);
    t.same(explain(ipam, "a", rest), want.slice(0, explain(ipam, "a", rest).length));
    t.same(await add(ipam, "a", { rest }), want);
    if (next) {
      t.same(explain(ipam, "b"), next.slice(0, explain(ipam, "b").length), "another pod");
      t.same(await add(ipam, "b"), next);
    }
    t.same((await add(ipam, "a", { rest })).sort(), [...want].sort(), "a new sandbox keeps them");
    t.same((await add(ipam, "a", { rest, again: true })).sort(), [...want].sort(), "and so does the same one");
  });

t.test(
  "ADD keeps an address of one range when its bounds have changed, and within them where there are several",
  async (t) => {
    const { add } = node(t);
    const bound = (first: number, last: number) => ({ range: `10.0.0.${first}-10.0.0.${last}/24` });
    t.same(await add({ ipRanges: [bound(10, 19)] }, "a"), ["10.0.0.10"]);
    t.same(await add({ ipRanges: [bound(20, 29)] }, "a"), ["10.0.0.10"], "as Whereabouts does");
    t.same(await add({ ipRanges: [bound(20, 29), bound(10, 19)] }, "a"), ["10.0.0.20", "10.0.0.10"]);
  },
);

t.test(
  "claimOrder() is that of the configuration where ranges have nothing in common, else the narrow ones come first",
  async (t) => {
    const order = (...texts: string[]) =>
      claimOrder(read(given({ ipRanges: texts.map((range) => ({ range })) }, "x")).ranges);
    t.same(order("10.0.0.0/16", "10.1.0.0/24", "fd00::/64"), [0, 1, 2]);
    t.same(order("10.0.0.0/16", "10.0.1.0/24", "10.0.0.5-10.0.0.9/16"), [2, 1, 0]);
  },
);

const last = fc.integer({ min: 1, max: 30 });
const bounds = fc.tuple(last, last).map(([a, b]) => [Math.min(a, b), Math.max(a, b)] as const);
const source = fc.tuple(fc.constantFrom("/27", "/26"), bounds).map(([bits, [from, to]]) => ({
  range: `10.0.0.${from}-10.0.0.${to}${bits}`,
}));
const configuration = fc.record({
  ipRanges: fc.array(source, { minLength: 1, maxLength: 3 }),
  addresses: fc.array(
    last.map((n) => ({ address: `10.0.0.${n}/27` })),
    { maxLength: 1 },
  ),
  enable_overlapping_ranges: fc.boolean(),
});
const calls = fc.array(fc.record({ pod: fc.constantFrom("a", "b", "c", "d"), again: fc.boolean() }), { maxLength: 12 });

const within = (ip: string, { range }: PoolRange) => toNumber(ip) >= range.first && toNumber(ip) <= range.last;

t.test(
  "ADD of any ranges gives distinct addresses, each within its bounds, keeps them, and explain() predicts all",
  async (t) => {
    await fc.assert(
      fc.asyncProperty(configuration, calls, async (ipam, list) => {
        const { add, explain, store } = node(t);
        const { ranges } = read(given(ipam, "x"));
        const before = new Map<string, string[]>();
        for (const { pod, again } of list) {
          const predicted = explain(ipam, pod);
          const got = await add(ipam, pod, { again: again && before.has(pod) }).catch((error) => {
            if (!/Could not allocate IP in range/.test(error.message)) throw error;
          });
          if ((got === undefined) !== predicted.includes(null)) return false;
          if (!got) continue; // what a failed ADD claimed is given back by the journal, which this host leaves alone
          const own = got.slice(0, ranges.length);
          if (String(own) !== String(predicted) || new Set(got).size !== got.length) return false;
          if (!own.every((ip, i) => parseIp(ip) && within(ip, ranges[i]!))) return false;
          const kept = before.get(pod);
          if (kept && String([...own].sort()) !== String([...kept].sort())) return false;
          before.set(pod, own);
        }
        return store.held.length > 0 || before.size === 0;
      }),
      { numRuns: 150 },
    );
  },
);
