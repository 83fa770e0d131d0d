import type { Test } from "tap";
import { cniCall } from "./support/attachment.ts";
import type { Node } from "./support/node.ts";

// biome-ignore lint/suspicious/noExplicitAny: what the command or ip(8) printed, as it is
type Json = any;

/** Of a machine that nobody has used and where no agent runs. */
export async function statusTests(t: Test, node: Node): Promise<void> {
  const status = async (): Promise<Json> =>
    JSON.parse(await node.ask("/opt/railnet/bin/railnet status --json || true"));
  const json = async (text: string): Promise<Json> => JSON.parse(await node.ask(text));
  /** As sysfs has it; null where reading fails, as it does without carrier. */
  const sys = async (path: string): Promise<number | null> =>
    Number((await node.ask(`cat ${path} 2> /dev/null || true`)).trim() || Number.NaN) || null;

  await t.test("railnet status shows real PFs as ip(8), rdma(8) and sysfs do", async (t) => {
    const { rails, rdma, attachments, problems } = await status();
    t.same(
      rails.map(({ pf }: Json) => pf),
      ["rail0", "rail1", "rail2", "rail3"],
    );
    t.match(await node.ask("rdma system show"), new RegExp(`^netns ${rdma}`));
    const devices = (await json("rdma -j link show")) as Json[];
    for (const rail of rails) {
      const [link] = await json(`ip -j -d link show ${rail.pf}`);
      t.equal(rail.mtu, link.mtu);
      t.equal(rail.link, link.flags.includes("LOWER_UP") ? "up" : link.flags.includes("UP") ? "no carrier" : "down");
      t.equal(rail.pci, link.parentdev);
      t.equal(rail.speed, await sys(`/sys/class/net/${rail.pf}/speed`));
      t.same(
        rail.vfs.map(({ index }: Json) => index),
        link.vfinfo_list.map(({ vf }: Json) => vf),
      );
      const own = devices.filter(({ netdev }) => netdev === rail.pf).map(({ ifname }) => ifname);
      t.same(
        rail.rdma.filter((name: string) => own.includes(name)),
        rail.rdma,
      );
      t.same(
        rail.vfs.map(({ state }: Json) => state),
        ["free", "free", "free", "free"],
      );
    }
    t.same(attachments, []);
    t.match(problems[0], /^no agent runs/);
  });

  await t.test("railnet status shows the VF that a pod has, and that it is back", async (t) => {
    await node.startAgent();
    await node.ask("ip netns add alpha");
    const wanted = {
      pod: "alpha",
      vf: node.vf(1, 0),
      settings: { ipam: { type: "host-local", ranges: [[{ subnet: "10.1.0.0/24" }]] } },
    };
    t.equal((await node.cni("shim", cniCall("ADD", wanted))).exit, 0);
    const { rails, attachments } = await status();
    const [shown] = (await json("ip -n alpha -j addr show net1")) as Json[];
    const [{ local, prefixlen }] = shown.addr_info.filter(({ family }: Json) => family === "inet");
    t.match(attachments, [{ pod: "test/alpha", ifname: "net1", rail: "rail1", vf: wanted.vf.pci, state: "attached" }]);
    t.same(attachments[0].addresses, [`${local}/${prefixlen}`]);
    t.same(
      rails[1].vfs.map(({ state }: Json) => state),
      ["used", "free", "free", "free"],
    );
    t.equal((await node.cni("shim", cniCall("DEL", wanted))).exit, 0);
    const after = await status();
    t.same(after.attachments, []);
    t.same(
      after.rails[1].vfs.map(({ state }: Json) => state),
      ["free", "free", "free", "free"],
    );
    await node.ask("ip netns del alpha");
  });
}
