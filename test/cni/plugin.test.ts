// Under which names this executable is what, and that it never asks itself.
import t from "tap";
import { isAttachName, isSriovName, NESTED } from "../../cni/attach-names.ts";
import type { Host } from "../../cni/host.ts";
import { isIpamName, isRdmaName, sriov } from "../../cni/plugin.ts";
import { type Call, readRequest } from "../../cni/protocol/request.ts";
import { rdmaAlias } from "../../cni/rdma-alias.ts";

const VERBS = ["ADD", "CHECK", "DEL", "GC", "STATUS"] as const;

function callOf(verb: string, more: object = {}, env: object = {}): Call {
  const isOfSandbox = !["GC", "STATUS"].includes(verb);
  const sandbox = { CNI_CONTAINERID: "c1", CNI_IFNAME: "net1", CNI_NETNS: "/run/netns/a" };
  const config = { cniVersion: "1.1.0", name: "rail0", type: "railnet-sriov", ipam: { type: "sriov" } };
  return readRequest({
    name: "railnet-sriov",
    env: { CNI_COMMAND: verb, CNI_PATH: "/opt/cni/bin", ...(isOfSandbox && sandbox), ...env },
    stdin: JSON.stringify({ ...config, ...more }),
  });
}

/** Nothing of it may be touched. */
const untouchable = new Proxy({}, { get: (_, key) => t.fail(`it looks at ${String(key)}`) }) as Host;
const ask = (verbs: object, verb: string, call: Call) =>
  (verbs as Record<string, (call: Call, host: Host) => Promise<unknown>>)[verb]!(call, untouchable);

for (const verb of VERBS)
  t.test(`railnet-sriov, asked for addresses by one that it runs itself: ${verb} ${verb === "DEL" ? "has nothing to do" : "is refused"}`, async (t) => {
    const asked = ask(sriov.verbs, verb, callOf(verb, {}, { [NESTED]: "1" }));
    if (verb === "DEL") t.equal(await asked, undefined);
    else await t.rejects(asked, { code: 7, message: /^cannot use ipam.type "sriov": it attaches devices and gives no addresses/ });
    const nameless = ask(sriov.verbs, verb, callOf(verb, { ipam: undefined }, { [NESTED]: "" }));
    if (verb !== "DEL") await t.rejects(nameless, { message: /^cannot use ipam.type "railnet-sriov"/ });
    else t.equal(await nameless, undefined);
  }); // biome-ignore format: rows

t.test("rdma, chained behind the VF's plugin, hands the result on and does nothing else", async (t) => {
  const result = { cniVersion: "1.1.0", interfaces: [{ name: "net1", sandbox: "/run/netns/a" }] };
  t.match(await ask(rdmaAlias.verbs, "ADD", callOf("ADD", { prevResult: result })), { interfaces: [{ name: "net1" }] });
  await t.rejects(ask(rdmaAlias.verbs, "ADD", callOf("ADD")), { code: 7, message: /prevResult is missing; chain rdma after/ });
  for (const verb of VERBS.slice(1)) t.equal(await ask(rdmaAlias.verbs, verb, callOf(verb)), undefined, verb);
}); // biome-ignore format: rows

t.test("names of plugins", async (t) => {
  const names = ["railnet-sriov", "sriov", "rdma", "railnet-ipam", "whereabouts", "host-local", "mine"];
  const those = (is: (name: string) => boolean) => names.filter(is).join(" ");
  t.equal(those((name) => isAttachName(name, "mine")), "railnet-sriov sriov rdma mine");
  t.equal(those(isIpamName), "railnet-ipam whereabouts");
  t.equal(those(isRdmaName), "rdma");
  t.equal(those(isSriovName), "sriov");
}); // biome-ignore format: rows
