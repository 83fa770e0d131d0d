import { spawnSync } from "node:child_process";
import t from "tap";
import { toCniError } from "../../cni/protocol/error.ts";
import { readRequest } from "../../cni/protocol/request.ts";
import { formatResult } from "../../cni/protocol/result.ts";
import { addStatic } from "../../ipam/static.ts";

const PEER = ".cache/peers/bin/static";
const ADDRESS = { address: "10.20.0.5/24", gateway: "10.20.0.1" };

/** The same call to the CNI plugins' own executable and to ours. */
const CASES: readonly { when: string; version?: string; ipam: object; rest?: object; args?: string }[] = [
  { when: "one address", ipam: { addresses: [ADDRESS] } },
  { when: "an address without gateway", ipam: { addresses: [{ address: "10.20.0.5/24" }] } },
  {
    when: "dual stack with routes and DNS",
    ipam: {
      addresses: [ADDRESS, { address: "FD00:0::5/64", gateway: "fd00::1" }],
      routes: [{ dst: "10.21.0.0/16" }, { dst: "::/0", gw: "fd00::1" }],
      dns: { nameservers: ["10.20.0.2"], domain: "d" },
    },
  },
  {
    when: "spec 0.2.0",
    version: "0.2.0",
    ipam: { addresses: [ADDRESS], routes: [{ dst: "10.21.0.0/16", gw: "10.20.0.9" }] },
  },
  { when: "spec 0.4.0", version: "0.4.0", ipam: { addresses: [ADDRESS] } },
  {
    when: "two of a family in spec 0.2.0",
    version: "0.2.0",
    ipam: { addresses: [ADDRESS, { address: "10.30.0.5/24" }] },
  },
  { when: "CNI_ARGS IP and GATEWAY", ipam: {}, args: "IP=10.20.0.7/24,10.30.0.7/24;GATEWAY=10.30.0.1" },
  { when: "CNI_ARGS behind configured ones", ipam: { addresses: [ADDRESS] }, args: "IgnoreUnknown=1;IP=10.20.0.7/24" },
  {
    when: "args.cni.ips over configured ones",
    ipam: { addresses: [ADDRESS] },
    rest: { args: { cni: { ips: ["10.20.0.8/24"] } } },
  },
  {
    when: "runtimeConfig.ips over all",
    ipam: { addresses: [ADDRESS] },
    rest: { args: { cni: { ips: ["10.20.0.8/24"] } }, runtimeConfig: { ips: ["10.20.0.9/24", "fd00::9/64"] } },
  },
  { when: "an address that is none", ipam: { addresses: [{ address: "not-an-address" }] } },
  { when: "an address without prefix length", ipam: { addresses: [{ address: "10.20.0.5" }] } },
];

for (const { when, version = "1.0.0", ipam, rest, args } of CASES)
  t.test(`addStatic() answers as the static plugin: ${when}`, async (t) => {
    const env = {
      CNI_COMMAND: "ADD",
      CNI_CONTAINERID: "c",
      CNI_NETNS: "/n",
      CNI_IFNAME: "net1",
      CNI_PATH: "/x",
      ...(args && { CNI_ARGS: args }),
    };
    const stdin = JSON.stringify({
      cniVersion: version,
      name: "net",
      type: "railnet-sriov",
      ipam: { type: "static", ...ipam },
      ...rest,
    });
    const peer = spawnSync(PEER, { env, input: stdin, encoding: "utf8" });
    t.equal(peer.error, undefined, "the peer runs (scripts/setup.sh peers)");
    const said = JSON.parse(peer.stdout);
    t.same(ours(env, stdin, version), peer.status === 0 ? said : { msg: said.msg });
  });

function ours(env: Record<string, string>, stdin: string, version: string): unknown {
  try {
    return JSON.parse(
      JSON.stringify(formatResult(addStatic(readRequest({ name: "railnet-sriov", env, stdin })), version)),
    );
  } catch (error) {
    return { msg: toCniError(error).message };
  }
}
