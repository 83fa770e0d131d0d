import { readdirSync, rmSync } from "node:fs";
import { connect } from "node:net";
import { join } from "node:path";
import t from "tap";
import { until } from "../../../lab/until.ts";
import { leaveSocket, PF, PluginNode, RAIL0, RAIL1 } from "./support/plugin-node.ts";

t.test("a kubelet that restarts is told again, with the same VFs, one in a pod among them", async (t) => {
  const node = await PluginNode.start(t);
  const inPod = node.vfs[1]!;
  node.tree.removeNetdev(inPod, node.tree.linkOf(inPod));
  node.attached.add(inPod);
  await node.lookUntil("rail0 is listed", () => node.kubelet.devices(RAIL0).length === 3);
  const before = node.kubelet.devices(RAIL0);
  await node.kubelet.restart();
  await node.lookUntil("rail0 is listed again", () => node.kubelet.devices(RAIL0).length === 3);
  t.same(node.kubelet.devices(RAIL0), before);
  t.same(node.kubelet.resources, [RAIL1, RAIL0]);
});

t.test(
  "a kubelet that is not there, was killed or refuses is asked until it takes the rails, and it is said once",
  async (t) => {
    const node = await PluginNode.start(t);
    node.kubelet.stop();
    await node.look();
    t.same(node.log.take(), [], "no socket, no kubelet");
    leaveSocket(join(node.dir, "kubelet.sock"));
    for (let turn = 0; turn < 3; turn++) await node.look();
    t.match(node.log.take(), [/^warn the kubelet refused a resource; retrying: .*ECONNREFUSED/, /ECONNREFUSED/]);
    node.kubelet.refuse = "the resource name is taken";
    await node.kubelet.start();
    for (let turn = 0; turn < 3; turn++) await node.look();
    t.same(node.log.take(), Array(2).fill("warn the kubelet refused a resource; retrying: the resource name is taken"));
    node.kubelet.refuse = undefined;
    await node.lookUntil("rail0 is listed", () => node.kubelet.devices(RAIL0).length === 3);
  },
);

t.test("a kubelet that lost us without a restart is told again", async (t) => {
  const node = await PluginNode.start(t);
  await node.lookUntil("rail0 is listed", () => node.kubelet.devices(RAIL0).length === 3);
  node.kubelet.hangUp(RAIL0);
  await until("the stream has ended", () => node.kubelet.resources.length === 1);
  await node.look();
  t.equal(node.kubelet.registrations.length, 2, "it may be about to come back");
  await until("the plugin has seen it, too, and waited", () => {
    node.nowMs += 5_001;
    void node.look();
    return node.kubelet.devices(RAIL0).length === 3;
  });
  t.same(node.kubelet.resources, [RAIL1, RAIL0]);
});

t.test("a socket that somebody removed is made again", async (t) => {
  const node = await PluginNode.start(t);
  await node.lookUntil("rail0 is listed", () => node.kubelet.devices(RAIL0).length === 3);
  rmSync(join(node.dir, "railnet-rail0.sock"));
  await node.lookUntil("it is registered again", () => node.kubelet.registrations.length === 3);
  await until("rail0 is listed", () => node.kubelet.devices(RAIL0).length === 3);
});

for (const how of ["killed", "stopped"] as const)
  t.test(`another agent takes the place of one that was ${how}, with the same VFs`, async (t) => {
    const node = await PluginNode.start(t);
    await node.lookUntil("rail0 is listed", () => node.kubelet.devices(RAIL0).length === 3);
    const before = node.kubelet.devices(RAIL0);
    await node.replaceAgent(how);
    t.same(
      readdirSync(node.dir),
      how === "killed" ? ["kubelet.sock", "railnet-rail0.sock", "railnet-rail1.sock"] : ["kubelet.sock"],
    );
    await until("the kubelet has noticed", () => node.kubelet.resources.length === 0);
    await node.lookUntil("rail0 is listed", () => node.kubelet.devices(RAIL0).length === 3);
    t.same(node.kubelet.devices(RAIL0), before);
  });

t.test("a kubelet that does not read gets the latest list when it does", async (t) => {
  const node = await PluginNode.start(t);
  node.tree.writeNumVfs(PF, 0);
  node.tree.writeNumVfs(PF, 8); // more than one stream's window in 200 lists
  await node.lookUntil("rail0 is listed", () => node.kubelet.devices(RAIL0).length === 8);
  node.kubelet.deaf = true;
  for (let turn = 0; turn < 400; turn++) {
    node.tree.setCarrier("ens1", turn % 2 === 1);
    node.nowMs += 60_000;
    await node.look();
    node.nowMs += 60_000;
    await node.look();
  }
  node.tree.writeNumVfs(PF, 0);
  node.tree.writeNumVfs(PF, 4);
  await node.look();
  node.kubelet.listen(RAIL0);
  await until("the last list has come", () => node.kubelet.devices(RAIL0).length === 4);
  t.equal(node.kubelet.by("Healthy", RAIL0).length, 4);
  t.ok(node.kubelet.lists(RAIL0) < 400, `${node.kubelet.lists(RAIL0)} lists of 400 were kept for it`);
});

t.test("calls that are no gRPC, of no method, or never end leave the plugin well", async (t) => {
  const node = await PluginNode.start(t);
  await node.lookUntil("rail0 is listed", () => node.kubelet.devices(RAIL0).length === 3);
  const socket = join(node.dir, "railnet-rail0.sock");
  for (const bytes of ["GET / HTTP/1.1\r\n\r\n", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0", "\0".repeat(100_000)]) {
    const peer = connect(socket);
    peer.on("error", () => {});
    peer.write(bytes);
    setTimeout(() => peer.destroy(), 100);
  }
  await t.rejects(node.kubelet.call(RAIL1, "Allocate", { container_requests: [{ devices_ids: ["nothing"] }] }), {
    code: 5,
  });
  t.same(await node.kubelet.call(RAIL0, "PreStartContainer", { devices_ids: [] }), {});
});
