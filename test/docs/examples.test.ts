import { globSync, readFileSync } from "node:fs";
import { load, loadAll } from "js-yaml";
import t, { type Test } from "tap";
import type { ToldRail, ToldRdma } from "../../cni/attachment/told/rail.ts";
import { readConfig } from "../../cni/config.ts";
import { type Call, readRequest } from "../../cni/protocol/request.ts";
import { railCalls } from "../../cni/rail-calls.ts";
import { isLogLevel } from "../../daemonset/log-level.ts";
import { listRails } from "../../daemonset/rail-network/listed.ts";
import type { NetworkRail, RailNetworkSpec } from "../../daemonset/rail-network/object.ts";
import { parseRails } from "../../daemonset/rails/config.ts";
import { readIpamConfig } from "../../ipam/whereabouts/config.ts";
import type { Json } from "../../lab/cluster/raw.ts";
import { type Block, blocksOf, codeIn, pageOf, pages, rowsBelow } from "./support/markdown.ts";

const KNOWN = new Set(
  rowsBelow(pageOf("docs/configuration.md"), "## A network: railnet-sriov").flatMap(([first = ""]) => codeIn(first)),
);
const STANDARD = ["cniVersion", "name", "type", "capabilities"];
const NODE = new Set(
  rowsBelow(pageOf("docs/configuration.md"), "## A node: node.json").flatMap(([first = ""]) => codeIn(first)),
);
const SETTINGS = new Set(["rails", "logLevel", "whereabouts", "fence"]);

/** A network as a runtime hands it over, through both parsers; a warning is a fault of an example. */
function readNetwork(t: Test, network: Json, where: string): void {
  const unknown = Object.keys(network).filter((key) => !STANDARD.includes(key) && !KNOWN.has(key));
  t.same(unknown, [], `${where}: keys`);
  const vfs = (network["rails"] ?? [{}]).map((_: object, i: number) => `0000:af:06.${i}`);
  const stdin = JSON.stringify({ ...network, runtimeConfig: { deviceID: vfs.join() } });
  const env = {
    CNI_COMMAND: "ADD",
    CNI_CONTAINERID: "c1",
    CNI_NETNS: "/run/netns/p1",
    CNI_IFNAME: "net1",
    CNI_PATH: "/opt/cni/bin",
    CNI_ARGS: "IgnoreUnknown=1;K8S_POD_NAMESPACE=default;K8S_POD_NAME=p1",
  };
  const calls = railCalls(readRequest({ name: "railnet-sriov", env, stdin }));
  t.equal(calls.length, vfs.length, `${where}: a rail for each VF`);
  for (const call of calls) readRail(t, call, network, where);
}

function readRail(t: Test, call: Call, network: Json, where: string): void {
  t.equal(readConfig(call).network, network["name"], `${where}: railnet-sriov takes it`);
  if (network["ipam"]?.type !== "railnet-ipam") return;
  const warnings: object[] = [];
  const log = { info: () => {}, warn: (fields: object) => void warnings.push(fields) };
  const host = { readText: () => undefined, policy: { kubeconfig: "/etc/railnet/kubeconfig" }, stateDir: "/s", log };
  t.ok(readIpamConfig(call, host).ranges.length > 0, `${where}: railnet-ipam takes it`);
  t.same(warnings, [], `${where}: and ignores nothing`);
}

function readNode(t: Test, node: Json, where: string): void {
  t.same(
    Object.keys(node).filter((key) => !NODE.has(key)),
    [],
    `${where}: keys of node.json`,
  );
}

/** A key that the type has and that is missing here does not compile, and the other way round. */
const TOLD: Record<keyof ToldRail, 0> = { name: 0, interface: 0, addresses: 0, gateways: 0, pci: 0, pf: 0, mac: 0, mtu: 0, numaNode: 0, pcieRoot: 0, gpus: 0, rdma: 0 }; // biome-ignore format: a list
const TOLD_RDMA: Record<keyof ToldRdma, 0> = { device: 0, port: 0, state: 0, speedGbps: 0, mtu: 0, trafficClass: 0, gidIndex: 0, gid: 0, gids: 0 }; // biome-ignore format: a list

/** The example of rails.json has every key that there is. */
function readTold(t: Test, { version, rails }: Json, where: string): void {
  t.equal(version, 1, where);
  for (const rail of rails as Json[]) {
    t.same(Object.keys(rail).sort(), Object.keys(TOLD).sort(), `${where}: keys of a rail`);
    t.same(Object.keys(rail["rdma"]).sort(), Object.keys(TOLD_RDMA).sort(), `${where}: and of its RDMA device`);
  }
}

/** A key that the type has and that is missing here does not compile, and the other way round. */
const SPEC: Record<keyof RailNetworkSpec, 0> = {
  nodeSelector: 0,
  rails: 0,
  pods: 0,
  sets: 0,
  expect: 0,
  nodes: 0,
  changeInUse: 0,
};
const RAIL: Record<keyof NetworkRail, 0> = { name: 0, pf: 0, vfs: 0, rdma: 0, resource: 0, mtu: 0, subnet: 0, exclude: 0 }; // biome-ignore format: a list

function readRailNetwork(t: Test, { metadata, spec }: Json, where: string): void {
  const unknown = [
    ...Object.keys(spec).filter((key) => !(key in SPEC)),
    ...spec.rails.flatMap(Object.keys).filter((key: string) => !(key in RAIL)),
  ];
  t.same(unknown, [], `${where}: keys`);
  const { rails, refused } = listRails([{ name: metadata.name, rails: spec.rails }]);
  t.same(refused, [], `${where}: agents refuse no rail`);
  t.equal(rails.length, spec.rails.length, `${where}: and take all`);
}

const isPod = ({ kind }: Json): boolean => kind === "Pod";

function readObject(t: Test, object: Json, where: string): void {
  const { kind, metadata, data, spec } = object;
  if (kind === "NetworkAttachmentDefinition") {
    const network = JSON.parse(spec.config);
    readNetwork(t, network, where);
    t.ok(metadata.annotations["k8s.v1.cni.cncf.io/resourceName"], `${where}: names a resource`);
    t.equal(network.name, metadata.name, `${where}: one name`);
  }
  if (kind === "ConfigMap" && metadata.name === "railnet-config") {
    t.same(
      Object.keys(data).filter((key) => !SETTINGS.has(key)),
      [],
      `${where}: keys`,
    );
    if (data.rails !== undefined) t.ok(Array.isArray(parseRails(data.rails)), `${where}: rails`);
    if (data.logLevel !== undefined) t.ok(isLogLevel(data.logLevel), `${where}: logLevel`);
  }
  if (kind === "RailNetwork") readRailNetwork(t, object, where);
  if (isPod(object) && metadata.annotations?.["k8s.v1.cni.cncf.io/networks"]) readPod(t, object, where);
}

/** A network of a pod has its VF; one that is called like a RailNetwork is of all rails. */
function readPod(t: Test, { metadata, spec }: Json, where: string): void {
  const networks = metadata.annotations["k8s.v1.cni.cncf.io/networks"]
    .split(",")
    .map((one: string) => one.trim().split("/").pop()!.split("@")[0]);
  const limits = spec.containers.flatMap(({ resources }: Json) => Object.keys(resources?.limits ?? {}));
  t.same(
    limits,
    networks.map((name: string) => `railnet.io/${railNetworks.has(name) ? "rails" : name}`),
    `${where}: a VF for each network`,
  );
}

const blocks: readonly Block[] = pages.filter(({ file }) => !file.startsWith("test/")).flatMap(({ blocks }) => blocks);
const inLanguage = (language: string): Block[] => blocks.filter((block) => block.language === language);

const railNetworks = new Set(
  inLanguage("yaml").flatMap(({ text }) => (loadAll(text) as Json[]).flatMap(({ kind, metadata }) => (kind === "RailNetwork" ? [metadata.name] : []))),
); // biome-ignore format: one row

t.test("examples are found", async (t) => {
  t.ok(inLanguage("json").length >= 6);
  t.ok(inLanguage("yaml").length >= 6);
  const [block] = blocksOf("x", "a\n\n  ```json node\n  {}\n   b\n  ```\n");
  t.same(
    block,
    { file: "x", line: 3, language: "json", runs: " node", text: "{}\n b\n" },
    "also in a list, without its indent",
  );
});

for (const { file, line, text } of inLanguage("json"))
  t.test(`example in ${file}:${line} is taken`, async (t) => {
    const value: Json = JSON.parse(text);
    const where = `${file}:${line}`;
    if ("msg" in value) t.type(value["code"], "number", "an error");
    else if ("cniVersion" in value) readNetwork(t, value, where);
    else if ("rails" in value) readTold(t, value, where);
    else readNode(t, value, where);
  });

for (const { file, line, text } of inLanguage("yaml"))
  t.test(`example in ${file}:${line} is taken`, async (t) => {
    for (const object of loadAll(text) as Json[])
      if (object["kind"]) readObject(t, object, `${file}:${line}`);
      else t.same(Object.keys(object), ["args"], "else it is a part of the DaemonSet");
  });

t.test("manifests/examples are taken", async (t) => {
  for (const file of globSync("manifests/examples/*.yaml"))
    for (const object of loadAll(readFileSync(file, "utf8")) as Json[]) readObject(t, object, file);
});

t.test("README.md's RailNetwork is for the pod that asks for it", async (t) => {
  const yaml = pageOf("README.md").blocks.filter(({ language }) => language === "yaml");
  const [network, pod] = yaml.map(({ text }) => load(text) as Json);
  t.same([network!["kind"], pod!["kind"]], ["RailNetwork", "Pod"]);
  t.equal(pod!["metadata"].labels["railnet.io/rails"], "all");
  t.same(network!["spec"].pods.namespaces, {}, "in whatever namespace it is");
  t.ok(yaml.reduce((lines, { text }) => lines + text.trim().split("\n").length, 0) <= 20, "in 20 lines");
});

t.test("TypeScript is compiled and run by another test, all of it", async (t) => {
  t.same(
    inLanguage("ts")
      .map(({ file }) => file)
      .filter((file) => !file.startsWith("lab/")),
    ["docs/library.md"],
    "test/library.test.ts",
  );
});

t.test("code blocks say what they are", async (t) => {
  const known = ["", "json", "yaml", "ts", "sh", "mermaid"];
  t.same(
    blocks
      .filter(({ language }) => !known.includes(language))
      .map(({ file, line, language }) => `${file}:${line}: ${language}`),
    [],
  );
});

t.test("docs/rail-objects.md names every key of a RailNetwork", async (t) => {
  const { text } = pageOf("docs/rail-objects.md");
  t.same(
    [...Object.keys(SPEC), ...Object.keys(RAIL)].filter((key) => !new RegExp(`\\b${key}\\b`).test(text)),
    [],
  );
});
