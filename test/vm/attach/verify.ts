import type { Test } from "tap";
import type { Node } from "./support/node.ts";
import { takeRest } from "./support/picture.ts";

const RAILNET = "/opt/railnet/bin/railnet";
export const CONFIG = "/tmp/verify";

/** The list of rails of a node, as the ConfigMap has it. */
export const listRails = (node: Node, more = ""): Promise<string> =>
  node.ask(
    `mkdir -p ${CONFIG}; for r in 0 1 2 3; do echo "- { name: blue$r, pf: { names: [rail$r] }${more} }"; done > ${CONFIG}/rails`,
  );

/** `railnet verify` on real VFs: passed, and nothing left behind, also by one that is killed. */
export async function verifyTests(t: Test, node: Node): Promise<void> {
  const isAtRest = await takeRest(node);
  await listRails(node);

  await t.test("railnet verify proves four rails, and all is as before", async (t) => {
    const { exit, stdout, stderr } = await node.machine.exec([RAILNET, "verify", "--config-dir", CONFIG, "--json", "--report", "/tmp/verify.tar.gz"]); // biome-ignore format: one row
    t.equal(exit, 0, stdout + stderr);
    const { rails } = JSON.parse(stdout);
    t.same(rails.map(({ rail, vf, why }: Record<string, string>) => [rail, vf, why]), [0, 1, 2, 3].map((r) => [`blue${r}`, node.vf(r, 3).pci, undefined])); // biome-ignore format: one row
    for (const { ms } of rails) t.same(Object.keys(ms).sort(), ["ADD", "CHECK", "DEL", "ping", "ready"], "all of it");
    const packed = await node.ask("tar -xzOf /tmp/verify.tar.gz");
    t.match(packed, /"driver": "igb"/);
    t.notMatch(packed, /([0-9a-f]{2}:){5}[0-9a-f]{2}"|198\.18/, "no addresses");
    await isAtRest(t, "after it");
  });

  await t.test("railnet verify takes no VF that somebody has, and says what it cannot prove", async (t) => {
    await node.ask(`
      ip netns add holder; mkdir -p /tmp/kubelet
      echo '{"Data":{"PodDeviceEntries":[{"PodUID":"u","ContainerName":"c","ResourceName":"railnet.io/blue1","DeviceIDs":{"-1":["${node.vf(1, 0).pci}","${node.vf(1, 1).pci},${node.vf(1, 2).pci}","${node.vf(1, 3).pci}"]}}]}}' > /tmp/kubelet/kubelet_internal_checkpoint`);
    const run = (...args: string[]) => node.machine.exec([RAILNET, "verify", "--config-dir", CONFIG, ...args]);
    const { exit, stdout } = await run("--rail", "blue1", "--device-plugins", "/tmp/kubelet");
    t.match(stdout, /^blue1 .*FAILED$/m);
    t.match(stdout, /^blue1: no VF is free/m);
    t.equal(exit, 1);
    t.equal((await run("--rail", "green")).exit, 2, "no such rail");
    await node.ask("ip netns del holder; rm -r /tmp/kubelet");
  });

  await t.test("a VF of a railnet verify that is killed comes home by its record", async (t) => {
    const { name } = node.vf(0, 3);
    await node.ask(`
      ${RAILNET} verify --config-dir ${CONFIG} > /dev/null 2>&1 & pid=$!
      for ((i = 0; i < 3000; i++)); do [ -e /sys/class/net/${name} ] || break; sleep 0.005; done
      kill -9 $pid; wait $pid || true`);
    for (let left = 20; left > 0 && (await node.journal()).length > 0; left--) await node.reconcile();
    t.same(await node.journal(), []);
    await isAtRest(t, "after it");
  });
}
