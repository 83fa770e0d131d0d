import t from "tap";
import type { HeldAddress } from "../../../cli/ipam/addresses.ts";
import { toCall } from "../../../cli/ipam/explain/call.ts";
import { explain } from "../../../cli/ipam/explain/plan-explain.ts";
import { parseRange, rangeOf } from "../../../ipam/range.ts";

const pool = { name: "rail0-10.0.0.0-28", cidr: "10.0.0.0/28", network: "rail0", overlapping: true };
const range = rangeOf(parseRange("10.0.0.0/28").network, { exclude: ["10.0.0.2/31"] });
const has = (ip: string, podref: string, more: Partial<HeldAddress> = {}): HeldAddress => ({
  ...{
    ip,
    network: "rail0",
    pool: pool.name,
    podref,
    ifname: "net1",
    node: "",
    podUid: "",
    containerId: "",
    since: "",
  },
  by: "both",
  ...more,
});
const QUESTION = { podref: "default/me", ifname: "net1", asked: [], fixed: [], order: "lowest" } as const;
const all = Array.from({ length: 14 }, (_, i) => has(`10.0.0.${i + 1}`, `default/p${i + 1}`));

for (const { when, addresses = [], question = {}, source = {}, want, why, skipped } of [
  { when: "nothing is taken", want: "10.0.0.1", why: /^the lowest free one$/, skipped: [] },
  { when: "the first is taken and the next are excluded", addresses: [has("10.0.0.1", "default/a")], want: "10.0.0.4", why: /lowest/, skipped: ["10.0.0.1: default/a (net1) has it", "10.0.0.2-10.0.0.3: excluded"] },
  { when: "Whereabouts lives", addresses: [has("10.0.0.14", "default/a", { node: "node-a" })], question: { order: "highest" }, want: "10.0.0.13", why: /^the highest free one; beside Whereabouts/, skipped: ["10.0.0.14: default/a (net1) on node-a has it"] },
  { when: "the interface has one already", addresses: [has("10.0.0.9", "default/me")], want: "10.0.0.9", why: /has it already/, skipped: [] },
  { when: "another interface of the pod has one", addresses: [has("10.0.0.1", "default/me", { ifname: "net2" })], want: "10.0.0.4", why: /lowest/, skipped: ["10.0.0.1: default/me (net2) has it", "10.0.0.2-10.0.0.3: excluded"] },
  { when: "another network has the address", addresses: [has("10.0.0.1", "default/a", { network: "rail1" })], want: "10.0.0.1", why: /lowest/, skipped: [] },
  { when: "the pod asks for a free one", question: { asked: ["10.0.0.7"] }, want: "10.0.0.7", why: /asks for it/, skipped: [] },
  { when: "the pod asks for a taken one", addresses: [has("10.0.0.7", "default/a")], question: { asked: ["10.0.0.7"] }, want: null, why: /^the pod asks for 10\.0\.0\.7, and default\/a \(net1\) has it$/, skipped: [] },
  { when: "every address is taken", addresses: all, want: null, why: /every address of the range is taken or excluded/, skipped: ["10.0.0.1: default/p1 (net1) has it", "10.0.0.2-10.0.0.3: excluded", "10.0.0.4: default/p4 (net1) has it", "10.0.0.5: default/p5 (net1) has it", "10.0.0.6: default/p6 (net1) has it"] },
  { when: "overlapping ranges are off and another pool has it", addresses: [has("10.0.0.1", "default/a", { pool: "rail0-10.0.0.0-24" })], source: { overlapping: false }, want: "10.0.0.1", why: /lowest/, skipped: [] },
] as const) // biome-ignore format: rows
  t.test(`explain() when ${when}: ${want ?? "no address"}`, async (t) => {
    const sources = [{ pool: { ...pool, ...source }, range }];
    const answer = explain(sources, addresses, { ...QUESTION, ...question })[0]!;
    t.equal(answer.ip, want);
    t.match(answer.why, why);
    t.same(
      answer.skipped.map(({ ip, why }) => `${ip}: ${why}`),
      skipped,
    );
  });

const CONFIG = {
  cniVersion: "1.0.0",
  name: "rail0",
  type: "railnet-sriov",
  ipam: { type: "whereabouts", range: "10.0.0.0/28" },
};
const DEFINITION = {
  kind: "NetworkAttachmentDefinition",
  metadata: { name: "rail0" },
  spec: { config: JSON.stringify(CONFIG) },
};

for (const { what, text } of [
  { what: "a configuration", text: JSON.stringify(CONFIG) },
  { what: "a list", text: JSON.stringify({ cniVersion: "1.0.0", name: "rail0", plugins: [{ type: "tuning" }, CONFIG] }) },
  { what: "a definition", text: JSON.stringify(DEFINITION) },
  { what: "a definition in YAML", text: `kind: NetworkAttachmentDefinition\nmetadata: {name: rail0}\nspec:\n  config: '${JSON.stringify(CONFIG)}'\n` },
  { what: "a configuration in YAML without name", text: "ipam:\n  type: whereabouts\n  range: 10.0.0.0/28\n" },
]) // biome-ignore format: rows
  t.test(`toCall() reads ${what}`, async (t) => {
    const { config, ifname, args, verb } = await toCall(text, { pod: "default/me", ifname: "net3" });
    t.match(config.ipam, { type: "whereabouts", range: "10.0.0.0/28" });
    t.same([verb, ifname, args["K8S_POD_NAMESPACE"], args["K8S_POD_NAME"]], ["ADD", "net3", "default", "me"]);
  });

for (const { what, text, want } of [
  { what: "text that is neither", text: "{]", want: /neither JSON nor YAML/ },
  { what: "a number", text: "7", want: /want a JSON or YAML object/ },
  { what: "a list without ipam", text: '{"plugins": [{"type": "tuning"}]}', want: /none of its plugins has "ipam"/ },
  { what: "a definition without config", text: '{"kind": "NetworkAttachmentDefinition"}', want: /no spec\.config/ },
]) // biome-ignore format: rows
  t.test(`toCall() refuses ${what}`, async (t) =>
    t.rejects(toCall(text, { pod: "default/me", ifname: "net1" }), { message: want }),
  );
