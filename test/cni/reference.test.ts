import { chmodSync, mkdirSync, writeFileSync } from "node:fs";
import t from "tap";
import { Journal } from "../../cni/attachment/journal.ts";
import { readConfig } from "../../cni/config.ts";
import { type Call, readRequest } from "../../cni/protocol/request.ts";
import type { Verb } from "../../cni/protocol/version.ts";
import { REFERENCES, withReference } from "../../cni/reference.ts";
import { writeNetworks } from "../../daemonset/rail-network/file.ts";
import type { FollowedNetwork } from "../../daemonset/rail-network/listed.ts";

const rail = (n: number) => ({
  name: `rail${n}`,
  pf: { names: [`ens${n}`] },
  vfs: 8,
  mtu: 9000,
  rdma: "exclusive" as const,
  subnet: `192.168.${n}.0/24`,
  exclude: [`192.168.${n}.0/28`],
});
const ishikari: FollowedNetwork = {
  name: "ishikari",
  rails: [rail(0), rail(1)],
  pods: { namespaces: {}, settings: { vlan: 7, sourceRules: true }, allow: ["ips", "mtu"] },
};
const log = { debug() {}, info() {}, warn() {} };

class Node {
  readonly host;
  constructor(t: { testdir(): string }, networks: readonly FollowedNetwork[] | null = [ishikari]) {
    const stateDir = `${t.testdir()}/state`;
    mkdirSync(stateDir);
    this.host = { log, paths: { stateDir } as never };
    if (networks) writeNetworks(this.file, networks);
  }
  get file(): string {
    return `${(this.host.paths as { stateDir: string }).stateDir}/${REFERENCES}`;
  }
  read(config: object, { verb = "ADD" as Verb, args = "", name = "railnet-sriov" } = {}): Call {
    const stdin = JSON.stringify({ cniVersion: "1.0.0", name: "x", type: name, deviceID: "0000:af:00.1", ...config });
    const env = { CNI_COMMAND: verb, CNI_CONTAINERID: "c1", CNI_NETNS: "/run/netns/a", CNI_IFNAME: "net1", CNI_PATH: "/bin", CNI_ARGS: args }; // biome-ignore format: one row
    return withReference(readRequest({ name, env, stdin }), this.host);
  }
}

t.test("withReference() makes of a reference what its RailNetwork says, for all who read the call", async (t) => {
  const call = new Node(t).read({ network: "ishikari", rail: "rail1", runtimeConfig: { deviceID: "0000:af:00.2" } });
  const want = {
    cniVersion: "1.0.0",
    name: "x",
    type: "railnet-sriov",
    deviceID: "0000:af:00.1",
    runtimeConfig: { deviceID: "0000:af:00.2" },
    mtu: 9000,
    rdma: "required",
    vlan: 7,
    trust: "off",
    spoofchk: "on",
    pinMac: true,
    sourceRules: true,
    ipam: { type: "railnet-ipam", range: "192.168.1.0/24", exclude: ["192.168.1.0/28"], same_index: true },
  };
  t.same(call.config, want);
  t.same(JSON.parse(call.request.stdin), want, "what is recorded, and what another plugin reads");
  t.match(readConfig(call), { deviceID: "0000:af:00.2", mtu: 9000, rdma: "required", vf: { vlan: 7, trust: false } });
});

t.test("withReference() without a rail means all, each with its link's name", async (t) => {
  const { config } = new Node(t).read({ Network: "ishikari" });
  t.match(config.rails, [{ name: "rail0", mtu: 9000, ipam: { range: "192.168.0.0/24" } }, { name: "rail1" }]);
  t.notOk("ipam" in config);
});

t.test("withReference() takes what is allowed, and refuses all else by name", async (t) => {
  const node = new Node(t);
  const reference = { network: "ishikari", rail: "rail0" };
  t.match(node.read({ ...reference, mtu: 1500 }).config, { mtu: 1500 });
  t.match(node.read({ ...reference, runtimeConfig: { ips: ["192.168.0.40"] } }).config, { runtimeConfig: { ips: ["192.168.0.40"] } }); // biome-ignore format: one row
  for (const [config, args, says] of [
    [{ trust: "on" }, "", /cannot use trust "on": RailNetwork ishikari sets this; pods and networks may set ips, mtu/],
    [{ VLAN: 5 }, "", /cannot use vlan 5/],
    [{ ipam: { type: "static" } }, "", /cannot use ipam/],
    [{ rails: [{ name: "a" }] }, "", /cannot use rails/],
    [{ mac: "02:00:00:00:00:01" }, "", /cannot use mac "02/],
    [{ runtimeConfig: { mac: "02:00:00:00:00:01" } }, "", /cannot use runtimeConfig\.mac/],
    [{ args: { cni: { mac: "02:00:00:00:00:01" } } }, "", /cannot use args\.cni\.mac/],
    [{}, "MAC=02:00:00:00:00:01", /cannot use CNI_ARGS MAC/],
  ] as const) // biome-ignore format: rows
    t.throws(() => node.read({ ...reference, ...config }, { args }), { code: 7, message: says });
  t.match(node.read({ ...reference, trust: "", vlan: null }).config, { trust: "off", vlan: 7 }, "empty is absent");
  t.match(node.read({ ...reference, trust: "on" }, { verb: "DEL" }).config, { trust: "off" }, "a DEL goes on");
});

t.test("withReference() says what is unknown, and whether to try again", async (t) => {
  const reference = { network: "ishikari", rail: "rail0" };
  const none = new Node(t, null);
  t.throws(() => none.read(reference), { code: 11, message: /cannot look up RailNetworks: .*rail-networks\.json is missing; the node's agent writes this file/ }); // biome-ignore format: one row
  writeFileSync(none.file, `{"version":1,"networks":[]}`, { mode: 0o600 });
  t.throws(() => none.read(reference), { code: 11, message: /was written by an older version/ });
  writeFileSync(none.file, "{");
  t.throws(() => none.read(reference), { code: 11, message: /cannot be read/ });
  chmodSync(none.file, 0o602);
  t.throws(() => none.read(reference), { code: 7, message: /not only root can write it/ });

  const node = new Node(t);
  t.throws(() => node.read({ network: 7 }), { code: 7, message: /network 7: want the name of a RailNetwork/ });
  t.throws(() => node.read({ network: "other" }), {
    code: 7,
    message: /network "other": no RailNetwork .* follows ishikari/,
  });
  t.throws(() => node.read({ ...reference, rail: "rail7" }), { code: 7, message: /rail "rail7": RailNetwork ishikari has rail0, rail1/ }); // biome-ignore format: one row
  const wrong = new Node(t, [{ ...ishikari, pods: { namespaces: {}, settings: { colour: 1 } } }]);
  t.throws(() => wrong.read(reference), {
    code: 7,
    message: /cannot be used: cannot use spec\.pods\.settings "colour"/,
  });
  for (const verb of ["DEL", "GC"] as const)
    t.doesNotThrow(() => none.read({ ...reference, cniVersion: "1.1.0" }, { verb }), verb);
});

t.test("withReference() leaves other configurations alone", async (t) => {
  const node = new Node(t, null);
  t.match(node.read({ rail: "ens0", mtu: 1500 }).config, { rail: "ens0", mtu: 1500 });
  t.match(
    node.read({ network: "ishikari" }, { name: "sriov" }).config,
    { network: "ishikari" },
    "sriov-cni has no such key",
  );
});

t.test("CHECK goes by what ADD recorded, whatever the RailNetwork says today", async (t) => {
  const node = new Node(t);
  const reference = { network: "ishikari", rail: "rail0" };
  const { request } = node.read(reference);
  const { stateDir } = node.host.paths as { stateDir: string };
  new Journal(stateDir).write({
    version: 1,
    phase: "attached",
    bootId: "b",
    containerId: "c1",
    ifname: "net1",
    network: "x",
    netns: "/run/netns/a",
    netnsInode: 1,
    device: { pci: "0000:af:00.1" },
    original: {},
    applied: {},
    request: { path: [], args: "", stdin: request.stdin },
  });
  writeNetworks(node.file, []);
  const prevResult = { cniVersion: "1.0.0", interfaces: [{ name: "net1" }] };
  const { config } = node.read({ ...reference, prevResult }, { verb: "CHECK" });
  t.match(config, { mtu: 9000, vlan: 7, ipam: { range: "192.168.0.0/24" }, prevResult });
  t.throws(() => node.read(reference), { message: /no RailNetwork of this name/ });
});
