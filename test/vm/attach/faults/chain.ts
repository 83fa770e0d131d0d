import { join, resolve } from "node:path";
import type { Test } from "tap";
import { cniCall, type Wanted } from "../support/attachment.ts";
import { type CniReply, failures, type Node, shim } from "../support/node.ts";
import { takeRest } from "../support/picture.ts";

const VRF = join(resolve(import.meta.dirname, "../../../.."), ".cache/peers/bin/vrf");

/** The CNI plugin `vrf` behind ours: here, since the kernel of a developer's machine may have no VRF. */
export async function chainTests(t: Test, node: Node): Promise<void> {
  const isAtRest = await takeRest(node);
  await node.startAgent();
  await node.ask("modprobe vrf");
  for (const [how, sourceRules] of WAYS)
      await t.test(`CHECK behind vrf is silent, and what then goes wrong is named (${how}, sourceRules ${JSON.stringify(sourceRules)})`, async (t) => {
        const wanted: Wanted = { pod: "vrf", vf: node.vf(1, 0), settings: { sourceRules, ipam: IPAM } };
        const call = (verb: string, more = {}) => node.cni(how, cniCall(verb, wanted, { more }));
        await node.ask("ip netns add vrf");
        const added = await call("ADD");
        t.equal(added.exit, 0, JSON.stringify(added.json));
        const { exit, json: result } = await vrf(node, "ADD", wanted, added.json);
        t.equal(exit, 0, JSON.stringify(result));
        t.match(JSON.parse(await node.ask("ip -n vrf -j -d link show net1"))[0], { master: "blue" });
        const checked = await call("CHECK", { prevResult: result });
        t.equal(checked.exit, 0, JSON.stringify(checked.json));
        await node.ask("ip -n vrf addr del 10.20.0.5/24 dev net1");
        t.match(await call("CHECK", { prevResult: result }), { exit: 1, json: { code: 106, msg: "10.20.0.5/24 is gone" } });
        t.equal((await vrf(node, "DEL", wanted, result)).exit, 0);
        t.same(failures(await shim(node, "DEL", [wanted])), [], "DEL");
        await node.ask("ip netns del vrf");
      }); // biome-ignore format: rows
  await isAtRest(t, "behind vrf");
}

const WAYS = [
  ["shim", { table: 99 }],
  ["stand-alone", false],
] as const;

const IPAM = {
  type: "static",
  addresses: [{ address: "10.20.0.5/24", gateway: "10.20.0.1" }, { address: "fd00:20::5/64" }],
  routes: [{ dst: "10.21.0.0/16" }],
};

/** As a runtime calls it, behind ours. */
async function vrf(
  node: Node,
  verb: string,
  wanted: Wanted,
  prevResult: unknown,
): Promise<Pick<CniReply, "exit" | "json">> {
  const { env } = cniCall(verb, wanted);
  const stdin = JSON.stringify({ cniVersion: "1.1.0", name: "rails", type: "vrf", vrfname: "blue", prevResult });
  const { exit, stdout } = await node.machine.exec([VRF], { env, stdin, timeoutMs: 60_000 });
  return { exit, json: stdout.trim() ? JSON.parse(stdout) : prevResult };
}
