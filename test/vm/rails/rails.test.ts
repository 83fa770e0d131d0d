import t from "tap";
import type { Wanted } from "../attach/support/attachment.ts";
import { failures, Node, shim, type Vf } from "../attach/support/node.ts";

/** Writes the list of rails as the kubelet mounts a ConfigMap, and starts an agent that looks at it. */
async function configure(node: Node, text: string): Promise<void> {
  await node.ask(`
    dir=/etc/railnet/config; mkdir -p $dir; version=..$RANDOM$RANDOM; mkdir $dir/$version
    printf %s '${text}' > $dir/$version/rails
    ln -s $version $dir/..next; mv -T $dir/..next $dir/..data; ln -sfn ..data/rails $dir/rails`);
  await node.startAgent();
}

/** What the kernel says: VFs of rail0, rail1, … */
const counts = (node: Node) => node.ask("cat /sys/class/net/rail{0,1,2,3}/device/sriov_numvfs | tr '\\n' ' '");

/** Waits in the guest; on a machine that does ten other things everything takes its time. */
const wait = (node: Node, condition: string) =>
  node.machine.ask(
    `while ((SECONDS < 240)); do { ${condition}; } && exit 0; sleep 0.1; done; cat /tmp/agent.log >&2; exit 1`,
    { timeoutMs: 300_000 },
  );

/** Waits until a rail has so many VFs, each with a link. */
const until = (node: Node, rail: number, count: number): Promise<string> =>
  wait(
    node,
    `cd /sys/class/net/rail${rail}/device; links=(virtfn*/net/*)
     [ "$(< sriov_numvfs)" = ${count} ] && [ \${#links[@]} = ${count} ] && [ -e "\${links[0]}" ]`,
  );

/** The reasons that the agent logged under a message. */
async function why(node: Node, message: string): Promise<string[]> {
  const lines = (await node.ask("cat /tmp/agent.log")).split("\n").filter((line) => line.startsWith("{"));
  return lines.map((line) => JSON.parse(line)).flatMap(({ msg, why }) => (msg === message ? [why ?? ""] : []));
}

/** Waits until the agent has said so. */
const saysWhy = (node: Node, text: string) => wait(node, `[[ $(< /tmp/agent.log) = *'${text}'* ]]`);

async function vfsOf(node: Node, rail: number): Promise<Vf[]> {
  const pcis = (
    await node.ask(`cd /sys/class/net/rail${rail}/device; for v in virtfn*; do basename $(readlink $v); done`)
  ).trim();
  return pcis.split("\n").map((pci, index) => ({ rail, index, pci, name: "", mac: "", pf: `rail${rail}`, pfPci: "" }));
}

t.test("the agent makes the VFs that the list of rails asks for", async (t) => {
  await using node = await Node.start({ name: "rails", vfs: 0 });
  t.equal(await counts(node), "0 0 0 0 ", "a node as it is after boot");
  const pci = (await node.ask("basename $(readlink -f /sys/class/net/rail1/device)")).trim();
  const rails = (vfs: readonly number[], more = "") => `
- { name: rail0, vfs: ${vfs[0]}, pf: { names: [nothing, rail0] }${more} }
- { name: rail1, vfs: ${vfs[1]}, pf: { pciAddresses: ["${pci}"], vendors: [8086], drivers: [igb] } }
- { name: rail2, pf: { names: [rail2] } }
- { name: rail8, vfs: 4, pf: { vendors: [15b3] } }`;

  await t.test("on a bare node, the RDMA mode with them, a PF that is down set up", async (t) => {
    await node.ask("rdma system set netns shared; ip link set rail1 down");
    await configure(node, rails([4, 2], ", rdma: exclusive"));
    await until(node, 0, 4);
    await until(node, 1, 2);
    t.equal(await counts(node), "4 2 0 0 ");
    t.match(await node.ask("rdma system"), /netns exclusive/);
    t.equal(JSON.parse(await node.ask("ip -j link show rail1"))[0].flags.includes("UP"), true, "rail1 is up");
    t.same(await why(node, "rail is not on this node"), ["no PF of this node matches its selectors"], "of rail8");
  });

  await t.test("in place of others when nobody has one of them, and never under a pod", async (t) => {
    const [vf] = await vfsOf(node, 0);
    const wanted: Wanted = { pod: "p1", vf: vf!, settings: { ipam: {} } };
    await node.ask("ip netns add p1");
    t.same(failures(await shim(node, "ADD", [wanted])), []);
    await configure(node, rails([6, 3]));
    await until(node, 1, 3);
    await saysWhy(node, `VF ${vf!.pci} is in use by pod test/p1`);
    t.equal(await counts(node), "4 3 0 0 ");
    t.equal(JSON.parse(await node.ask("ip -n p1 -j -d link show net1"))[0].parentdev, vf!.pci, "the pod has its VF");
    t.same(failures(await shim(node, "DEL", [wanted])), [], "though a new VF of rail1 may have its name by now");
    await until(node, 0, 6);
    await node.ask("ip netns del p1");
  });

  await t.test("not under what the host itself uses, nor in another namespace", async (t) => {
    const [first, second] = await vfsOf(node, 1);
    const link = async (vf: Vf) => (await node.ask(`ls /sys/bus/pci/devices/${vf.pci}/net`)).trim();
    const [mine, away] = [await link(first!), await link(second!)];
    await node.ask(`ip addr add 10.9.9.9/24 dev ${mine}; ip netns add other; ip link set ${away} netns other`);
    await configure(node, rails([6, 5]));
    await saysWhy(
      node,
      `VF ${first!.pci}: the host uses its link ${mine}: it has address 10.9.9.9/24 of the host; the link of VF ${second!.pci} is in another network namespace`,
    );
    t.equal(await counts(node), "6 3 0 0 ");
    await node.ask(`ip -n other link set ${away} netns 1; ip netns del other; ip addr flush dev ${mine}`);
    await until(node, 1, 5);
  });

  await t.test("also when it dies between two writes", async (t) => {
    await node.killAgent();
    await node.setFaults("rail-vfs-removed kill");
    await configure(node, rails([6, 2])).catch(() => {});
    await wait(node, "! kill -0 $(< /run/agent.pid) 2> /dev/null");
    t.equal(await counts(node), "6 0 0 0 ", "it was killed when rail1 had none");
    await node.setFaults();
    await node.killAgent();
    await node.startAgent();
    await until(node, 1, 2);
    t.equal(await counts(node), "6 2 0 0 ");
  });

  await t.test("but no more than the firmware allows, which is said", async (t) => {
    await configure(node, rails([6, 20]));
    await saysWhy(node, "its firmware allows 7 (sriov_totalvfs)");
    t.equal(await counts(node), "6 2 0 0 ");
  });

  await t.test("and leaves them to a mistake in the list", async (t) => {
    await configure(node, "- { name: rail0 }");
    await saysWhy(node, 'cannot use rail \\"rail0\\": pf is missing');
    t.equal(await counts(node), "6 2 0 0 ");
  });
});
