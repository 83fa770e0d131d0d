import type { Test } from "tap";
import { cniCall, type Wanted } from "../support/attachment.ts";
import { codes, failures, IPAM_DIR, type Node, shim, type Vf } from "../support/node.ts";
import { takeRest } from "../support/picture.ts";
import { readyTests } from "./ready.ts";

/**
 * RDMA, as far as soft-RoCE goes: an igb VF has none, so an rxe device (on a link of its own, since the kernel removes one
 * whose link changes namespace) is shown below the VF in sysfs as an mlx5 VF shows its device.
 */
export async function rdmaTests(t: Test, node: Node): Promise<void> {
  const isAtRest = await takeRest(node);
  const vf = node.vf(2, 3);
  const at = (rdma: string): Wanted => ({ pod: "rdma", vf, settings: { rdma } });
  const add = (rdma: string) => shim(node, "ADD", [at(rdma)]);
  const del = () => shim(node, "DEL", [at("auto")]);
  await node.startAgent();

  await t.test("ADD without an RDMA device: required is refused, auto and off are not", async (t) => {
    await node.ask("ip netns add rdma");
    t.same(codes(...(await add("required"))), [104], "required");
    for (const mode of ["auto", "off"]) t.same(failures([...(await add(mode)), ...(await del())]), [], mode);
    await node.ask("ip netns del rdma");
  });

  await withRdma(node, vf, "shared", async () => {
    await t.test("ADD in shared mode takes the VF's RDMA device for given: it is seen everywhere", async (t) => {
      await node.ask("ip netns add rdma");
      for (const mode of ["required", "auto", "off"]) {
        t.same(failures(await add(mode)), [], mode);
        t.same([await devices(node, "rdma"), await devices(node)], [["rxe0"], ["rxe0"]], "in the pod and on the host");
        t.same(failures(await del()), [], "DEL");
      }
      await node.ask("ip netns del rdma");
    });
    await readyTests(t, node, vf);
  });

  await withRdma(node, vf, "exclusive", async () => {
    await node.ask("ip netns add rdma");
    await t.test("ADD in exclusive mode moves the VF's RDMA device into the pod, DEL brings it back", async (t) => {
      for (const mode of ["required", "auto"]) {
        t.same(failures(await add(mode)), [], mode);
        t.same([await devices(node, "rdma"), await devices(node)], [["rxe0"], []], "in the pod only");
        t.same(failures(await del()), [], "DEL");
        t.same([await devices(node, "rdma"), await devices(node)], [[], ["rxe0"]], "on the host only");
      }
    });
    await t.test("ADD in exclusive mode with rdma off leaves the device on the host", async (t) => {
      t.same(failures(await add("off")), [], "ADD");
      t.same([await devices(node, "rdma"), await devices(node)], [[], ["rxe0"]], "on the host only");
      t.same(failures(await del()), [], "DEL");
    });
    await t.test(
      "an RDMA device comes back after a kill of ADD or DEL beside its move, and after the namespace is gone",
      async (t) => {
        for (const [verb, step] of [
          ["ADD", "add-rdma-moved"],
          ["DEL", "del-rdma-returned"],
        ] as const) {
          await node.setFaults(`${step} kill`);
          if (verb === "DEL") t.same(failures(await add("required")), [], "ADD");
          await node.cni("stand-alone", cniCall(verb, at("required")), { faulty: true });
          t.same(await devices(node), verb === "ADD" ? [] : ["rxe0"], `killed after ${step}`);
          await node.setFaults();
          t.same(failures(await del()), [], "DEL");
          t.same([await devices(node, "rdma"), await devices(node)], [[], ["rxe0"]], "on the host only");
        }
        t.same(failures(await add("required")), [], "ADD");
        await node.ask(
          'ip netns del rdma; for ((i = 0; i < 100; i++)); do [ -z "$(rdma dev)" ] || break; sleep 0.02; done',
        );
        t.same(failures(await del()), [], "DEL without the namespace");
        t.same(await devices(node), ["rxe0"], "on the host");
        await node.ask("ip netns add rdma");
      },
    );
    const isBack = async (t: Test) => {
      t.same(failures(await del()), [], "DEL");
      t.same([await devices(node, "rdma"), await devices(node)], [[], ["rxe0"]], "on the host only, by its own name");
    };
    await t.test("an RDMA device that the pod renamed comes home under its own name", async (t) => {
      t.same(failures(await add("required")), [], "ADD");
      await node.ask("ip netns exec rdma rdma dev set rxe0 name tenants");
      await isBack(t);
      t.same(failures(await add("required")), [], "ADD");
      await node.ask(`
        ip netns exec rdma rdma dev set rxe0 name tenants; ip netns del rdma
        for ((i = 0; i < 100; i++)); do [ -z "$(rdma dev)" ] || break; sleep 0.02; done; ip netns add rdma`);
      await isBack(t);
    });
    await t.test("an RDMA device comes home also when the host has made one of its name", async (t) => {
      t.same(failures(await add("required")), [], "ADD");
      await node.ask("ip link add rdma1 type dummy; ip link set rdma1 up; rdma link add rxe0 type rxe netdev rdma1");
      t.same(failures(await del()), [], "DEL");
      const spare = `vf${vf.pci.replaceAll(/[:.]/g, "")}`;
      t.same([await devices(node, "rdma"), (await devices(node)).sort()], [[], ["rxe0", spare].sort()]);
      await node.ask(`rdma link del rxe0; ip link del rdma1; rdma dev set ${spare} name rxe0`);
    });
    await t.test("an RDMA device that is renamed while ADD runs goes along", async (t) => {
      await node.setFaults("add-moved hang 1500");
      const adding = add("required");
      await node.ask(
        "for ((i = 0; i < 500; i++)); do ip -n rdma link show net1 && break; sleep 0.01; done; rdma dev set rxe0 name rocep1",
      );
      t.same(failures(await adding), [], "ADD");
      await node.setFaults();
      t.same([await devices(node, "rdma"), await devices(node)], [["rocep1"], []], "in the pod only");
      await isBack(t);
    });
    await t.test("ADD waits for an RDMA device that is not home yet, and does not go without it", async (t) => {
      await node.ask("ip netns add last; rdma dev set rxe0 netns last");
      t.same(codes(...(await add("auto"))), [104], "auto");
      const adding = add("auto");
      await node.ask("ip netns exec last rdma dev set rxe0 netns /proc/1/ns/net; ip netns del last");
      t.same(failures(await adding), [], "once it is back");
      t.same(await devices(node, "rdma"), ["rxe0"]);
      await isBack(t);
    });
    await t.test("ADD does not give a pod whose uverbs another VF has by then, however often it tries", async (t) => {
      const shown = "/run/shown/infiniband_verbs";
      await node.ask(`
        ip link add rdma1 type dummy; ip link set rdma1 up; rdma link del rxe0
        rdma link add rxe1 type rxe netdev rdma1; rdma link add rxe0 type rxe netdev rdma0; rdma link del rxe1
        ln -s /sys/devices/virtual/infiniband_verbs ${shown}; ls ${shown}`);
      t.equal((await node.ask(`ls ${shown}/`)).trim(), "uverbs1", "and uverbs0 is free");
      const first = { ...at("auto"), pod: "first", netns: "rdma" };
      for (let i = 0; i < 2; i++) {
        t.same(codes(...(await shim(node, "ADD", [first]))), [11], "the pod was given uverbs1");
        t.same([await devices(node, "rdma"), await devices(node)], [[], ["rxe0"]], "all of it is undone");
      }
      const other = { ...at("auto"), pod: "other", netns: "rdma" };
      t.same(failures(await shim(node, "ADD", [other])), [], "another pod, for which the kubelet allocates anew");
      t.same(failures(await shim(node, "DEL", [other])), [], "DEL");
      await node.ask(`rm ${shown}; ip link del rdma1`);
    });
    await t.test("rdma-cni does the same in a chain, and DEL ends what it made", (t) => peerTest(t, node, vf));
    await node.ask("ip netns del rdma");
  });
  await isAtRest(t, "after all");
}

/** The real rdma-cni and ours move the same device, and our DEL brings back what the former moved. */
async function peerTest(t: Test, node: Node, vf: Vf): Promise<void> {
  const prevResult = { cniVersion: "1.0.0", interfaces: [{ name: "net1", sandbox: "/run/netns/rdma" }] };
  const env = { CNI_CONTAINERID: "rdma", CNI_NETNS: "/run/netns/rdma", CNI_IFNAME: "net1", CNI_PATH: IPAM_DIR };
  const stdin = JSON.stringify({ cniVersion: "1.0.0", name: "rails", type: "rdma", deviceID: vf.pci, prevResult });
  const peer = (verb: string) => node.machine.exec([`${IPAM_DIR}/rdma`], { env: { ...env, CNI_COMMAND: verb }, stdin });

  const added = await peer("ADD");
  t.same(JSON.parse(added.stdout), prevResult, "its ADD passes the result on");
  t.same([await devices(node, "rdma"), await devices(node)], [["rxe0"], []], "its ADD: in the pod only");
  t.equal((await peer("DEL")).exit, 0, "its DEL");
  t.same([await devices(node, "rdma"), await devices(node)], [[], ["rxe0"]], "its DEL: on the host only");

  t.equal((await peer("ADD")).exit, 0, "its ADD again, behind an sriov-cni that has set nothing");
  const cache = { deviceID: vf.pci, OrigVfState: { HostIFName: vf.name, EffectiveMAC: vf.mac, MTU: 1500 } };
  await node.ask(`
    ip link set ${vf.name} netns rdma name net1
    mkdir -p /var/lib/cni/sriov/pci
    printf %s '${JSON.stringify(cache)}' > /var/lib/cni/sriov/rdma-net1; printf /run/netns/rdma > /var/lib/cni/sriov/pci/${vf.pci}`);
  const ended = await node.cni("shim", { env: { ...env, CNI_COMMAND: "DEL" }, stdin });
  t.same([ended.exit, await devices(node, "rdma"), await devices(node)], [0, [], ["rxe0"]], "our DEL brings both back");
  t.equal(await node.ask("find /var/lib/cni/rdma /var/lib/cni/sriov -type f"), "", "their files are gone");
}

const devices = async (node: Node, netns?: string): Promise<string[]> =>
  (
    JSON.parse((await node.ask(`${netns ? `ip netns exec ${netns}` : ""} rdma -j dev`)) || "[]") as { ifname: string }[]
  ).map((d) => d.ifname);

/** With the subsystem in this mode and an RDMA device rxe0 below the VF; the mode can only change while there is no namespace. */
async function withRdma(
  node: Node,
  { pci }: Vf,
  mode: "shared" | "exclusive",
  body: () => Promise<unknown>,
): Promise<void> {
  await node.ask(`
    for ((i = 0; i < 100; i++)); do rdma system set netns ${mode} 2> /dev/null && break; sleep 0.05; done; rdma system | grep -q ${mode}
    modprobe rdma_rxe; ip link add rdma0 type dummy; ip link set rdma0 up; rdma link add rxe0 type rxe netdev rdma0
    real=$(realpath /sys/bus/pci/devices/${pci}); mkdir -p /run/real /run/shown/infiniband/rxe0
    mount --bind $real /run/real
    for f in /run/real/*; do if [ -L "$f" ]; then cp -d "$f" /run/shown/; else ln -s "$f" /run/shown/; fi; done
    mount --bind /run/shown $real`);
  try {
    await body();
  } finally {
    await node.ask(`
      umount $(realpath /sys/bus/pci/devices/${pci}); umount /run/real; rm -r /run/shown /run/real
      rdma link del rxe0; ip link del rdma0
      for ((i = 0; i < 100; i++)); do rdma system set netns shared 2> /dev/null && break; sleep 0.05; done`);
  }
}
