import type { Test } from "tap";
import { cniCall, type Wanted } from "../support/attachment.ts";
import { codes, failures, type Node, shim, type Vf } from "../support/node.ts";
import { CONFIG, listRails } from "../verify.ts";

const ADDRESS = "10.2.0.7";
const GID = "0000:0000:0000:0000:0000:ffff:0a02:0007";
const RAIL = "blue2";

/** Four causes for which RDMA cannot be used, each by name, and what the pod is told when it can. rxe0 is on the link rdma0. */
export async function readyTests(t: Test, node: Node, vf: Vf): Promise<void> {
  const at = (settings: object = {}): Wanted => ({
    pod: "ready",
    vf,
    settings: { rdma: "required", ipam: { type: "static", addresses: [{ address: `${ADDRESS}/24` }] }, ...settings },
  });
  const dir = `/run/railnet/told/${vf.pci.replaceAll(":", "-")}`;
  await node.ask(`
    ip netns add ready
    echo '{"version":1,"rails":{"${vf.pci}":"${RAIL}"}}' > /run/railnet/offered.new; mv /run/railnet/offered.new /run/railnet/offered.json`);
  const refused = async (t: Test, settings: object, msg: RegExp) => {
    const [reply] = await shim(node, "ADD", [at(settings)]);
    t.same(codes(reply!), [104]);
    t.match(reply!.json.msg, msg);
    t.equal(await node.ask(`ls ${dir} 2> /dev/null || true; ip -n ready -br link show net1 2> /dev/null || true`), "", "undone"); // biome-ignore format: one row
  };
  try {
    await t.test("ADD in shared mode names what the RDMA device lacks", async (t) => {
      await refused(t, {}, new RegExp(`has no RoCE v2 GID ${GID} of ${ADDRESS}`));
      await node.ask(`ip addr add ${ADDRESS}/32 dev rdma0`);
      await refused(t, { mtu: 1000, expect: { roceMtu: 1024 } }, /the RoCE MTU of rxe0 is 512, want 1024/);
      await refused(t, { expect: { speedGbps: 400 } }, /port 1 of rxe0 has [\d.]+ Gb\/s, want 400/);
      await node.ask("ip link set rdma0 down");
      await refused(t, {}, /port 1 of rxe0 is \w+, want ACTIVE/);
      await node.ask(`ip link set rdma0 up; ip addr replace ${ADDRESS}/32 dev rdma0`);
    });
    await t.test("railnet verify names the same", async (t) => {
      await listRails(node, ", rdma: shared");
      const run = async (why: RegExp) => {
        const { exit, stdout, stderr } = await node.machine.exec(["/opt/railnet/bin/railnet", "verify", "--config-dir", CONFIG, "--rail", "blue2"]); // biome-ignore format: one row
        t.match(stdout, why, stderr);
        t.equal(exit, 1);
      };
      await run(/^blue2: .*has no RoCE v2 GID .*:c612:0201 of 198\.18\.2\.1/m);
      await node.ask("ip addr add 198.18.2.1/32 dev rdma0; ip link set rdma0 down");
      await run(/^blue2: .*port 1 of rxe0 is \w+, want ACTIVE/m);
      await node.ask(`ip link set rdma0 up; ip addr flush dev rdma0; ip addr add ${ADDRESS}/32 dev rdma0`);
    });
    await t.test("a pod is told in shared mode which GID is its address's", async (t) => {
      t.same(failures(await shim(node, "ADD", [at()])), []);
      const { rails } = JSON.parse(await node.ask(`cat ${dir}/rails.json`));
      t.match(rails, [{ name: RAIL, interface: "net1", addresses: [`${ADDRESS}/24`], pci: vf.pci, rdma: { device: "rxe0", port: 1, state: "ACTIVE", gid: GID } }]); // biome-ignore format: one row
      const { gidIndex } = rails[0].rdma;
      const port = "/sys/class/infiniband/rxe0/ports/1";
      const seen = await node.ask(`
        ip netns exec ready bash -c 'cat ${port}/gids/${gidIndex} ${port}/gid_attrs/types/${gidIndex}'
        cat ${dir}/nccl.conf`);
      t.match(seen, `${GID}\nRoCE v2\n`, "as the pod's own sysfs has it");
      t.match(seen, `NCCL_IB_HCA==rxe0:1\n`);
      t.match(seen, `NCCL_IB_GID_INDEX=${gidIndex}\n`);
      t.same(failures(await shim(node, "DEL", [at()])), []);
      t.equal(await node.ask(`ls ${dir}`), "", "gone with the pod");
    });
    await t.test("ADD waits for the GID, whose index is the one for ibv_rc_pingpong", (t) => pingpong(t, node, at, dir)); // biome-ignore format: one row
  } finally {
    await node.ask("rm /run/railnet/offered.json; ip netns del ready; ip addr flush dev rdma0");
  }
}

/** The VF itself gets an RDMA device once it is in the pod: the kernel removes one whose link changes namespace. */
async function pingpong(t: Test, node: Node, at: (settings?: object) => Wanted, dir: string): Promise<void> {
  await node.ask("ip addr flush dev rdma0");
  const adding = node.cni("shim", cniCall("ADD", at({ rdmaReady: { waitMs: 30_000 } })));
  await node.ask(`
    for ((i = 0; i < 1000; i++)); do ip -n ready addr show net1 2> /dev/null | grep -q ${ADDRESS} && break; sleep 0.02; done
    rdma link del rxe0; ip netns exec ready rdma link add rxe0 type rxe netdev net1`);
  t.same(failures([await adding]), [], "once it is there");
  const { rails } = JSON.parse(await node.ask(`cat ${dir}/rails.json`));
  const { device, gidIndex, gid } = rails[0].rdma;
  t.equal(gid, GID);
  const run = `timeout 60 ibv_rc_pingpong -d ${device} -g ${gidIndex} -n 10`;
  const said = await node.ask(`
    ip -n ready link set lo up
    ip netns exec ready ${run} > /tmp/server 2>&1 & server=$!
    for ((i = 0; i < 100; i++)); do ip netns exec ready ${run} 127.0.0.1 > /tmp/client 2>&1 && break; sleep 0.1; done
    wait $server; cat /tmp/server /tmp/client`);
  t.match(said, /10 iters in/, "10 exchanges");
  t.same(failures(await shim(node, "DEL", [at()])), []);
  await node.ask(`rdma link del ${device} || true; rdma link add rxe0 type rxe netdev rdma0`);
}
