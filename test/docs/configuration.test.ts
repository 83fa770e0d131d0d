import t from "tap";
import { VF_KEYS } from "../../cni/vf-settings.ts";
import { parseRails } from "../../daemonset/rails/config.ts";
import type { NodePolicy } from "../../ipam/host.ts";
import type { IpamFields } from "../../ipam/whereabouts/fields.ts";
import { codeIn, pageOf, rowsBelow } from "./support/markdown.ts";
import { found, listIn, sourceOf } from "./support/source.ts";

const page = pageOf("docs/configuration.md");

/** Words in backticks of the first cells of the tables below a heading. */
const documented = (heading: string): string[] =>
  rowsBelow(page, heading)
    .flatMap(([first = ""]) => codeIn(first))
    .sort();
const sorted = (words: Iterable<string>): string[] => [...new Set(words)].sort();

t.test("configuration.md has every key of railnet-sriov, and no other", async (t) => {
  const top = documented("## A network: railnet-sriov");
  const keys = [
    ...listIn("cni/config.ts", "SHARED_KEYS"),
    ...VF_KEYS,
    ...listIn("cni/config.ts", "OWN_KEYS"),
    "ipam",
    "network",
  ];
  t.same(
    top.filter((key) => !key.includes(".")),
    sorted(keys),
  );
  const run = found(/runtimeConfig(?: \?\? \{\})?(?:, |\?\.\[|\[)"(\w+)"/g, /^(cni|ipam)\//);
  t.same(
    top.filter((key) => key.includes(".")),
    run.map((key) => `runtimeConfig.${key}`),
  );
  t.ok(run.length >= 5, "the pattern finds them");
});

/** A key that the type has and that is missing here does not compile, and the other way round. */
const IPAM: Record<keyof IpamFields, 0> = { type: 0, range: 0, range_start: 0, range_end: 0, exclude: 0, ipRanges: 0, gateway: 0, routes: 0, dns: 0, addresses: 0, network_name: 0, enable_overlapping_ranges: 0, node_slice_size: 0, kubernetes: 0, log_file: 0, configuration_path: 0, same_index: 0, exclude_gateway: 0 }; // biome-ignore format: a list
const NODE: Record<keyof NodePolicy, 0> = { node: 0, trustNetworkConfig: 0, aliases: 0, kubeconfig: 0, directory: 0, flatFiles: 0 }; // biome-ignore format: a list

t.test("configuration.md has every key of railnet-ipam, and no other", async (t) => {
  t.same(documented("## Addresses: railnet-ipam"), sorted(Object.keys(IPAM)));
});

t.test("configuration.md has every key of node.json, and no other", async (t) => {
  t.same(documented("## A node: node.json"), sorted(Object.keys(NODE)));
});

/** What the parser says that it knows, when asked for something else. */
function fieldsOfRail(text: string): string[] {
  try {
    parseRails(text);
  } catch (error) {
    return /want ([\w, ]+)$/.exec((error as Error).message)?.[1]?.split(", ") ?? [];
  }
  return [];
}

t.test("configuration.md has every key of railnet-config and of its rails, and no other", async (t) => {
  const read = [...found(/configDir, "(\w+)"/g), ...found(/data\?\.\["(\w+)"\]/g)];
  const rail = fieldsOfRail("[{name: r, nosuch: 1}]");
  const pf = fieldsOfRail("[{name: r, pf: {nosuch: 1}}]");
  t.same([rail.length, pf.length], [5, 4], "the parser tells its fields");
  t.same(documented("## The cluster: railnet-config"), [...sorted(read), ...rail, ...pf].sort());
});

t.test("configuration.md has every argument of the agent and its default, and no other", async (t) => {
  const agent = sourceOf("cli/cli.ts");
  const install = sourceOf("cli/install.ts").split("registerInstall")[0]!;
  const options = [...`${agent}${install}`.matchAll(/\.option\("([\w-]+)",\s*\{([^}]*)\}/g)];
  const rows = rowsBelow(page, "## The agent").filter(([first = ""]) => first.startsWith("`--"));
  t.same(rows.map(([first = ""]) => codeIn(first)[0]).sort(), sorted(options.map(([, name]) => `--${name}`)));
  for (const [, name, body = ""] of options) {
    const value = /default: (?:"([^"]+)"|(\d+))/.exec(body);
    const row = rows.find(([first = ""]) => codeIn(first)[0] === `--${name}`);
    if (value) t.ok(row?.[2]?.includes(value[1] ?? value[2]!), `--${name} is ${value[1] ?? value[2]} by default`);
  }
});

/** Test builds alone read these: cni/faults.ts. */
const INJECTED = ["RAILNET_FAULT_FILE", "RAILNET_IPAM_TIMEOUT_MS"];

t.test("configuration.md has every variable that Railnet reads, and no other", async (t) => {
  const own = found(/\b(RAILNET_(?!DELEGATE|IO_)[A-Z_]+)\b/g, /\.ts$/).filter((name) => !INJECTED.includes(name));
  const given = ["NODENAME", "POD_NAME", "POD_NAMESPACE"].filter((name) => sourceOf("cli/cli.ts").includes(name));
  const rows = rowsBelow(page, "## The agent").flatMap(([first = ""]) => codeIn(first));
  t.same(rows.filter((name) => /^[A-Z]/.test(name)).sort(), sorted([...own, ...given, "CNI_NETNS_OVERRIDE"]));
});
