// Numbers are those of the checklist in test/cni/protocol/README.md.
import { mkdirSync, renameSync, rmSync } from "node:fs";
import { join } from "node:path";
import t, { type Test } from "tap";
import { type Attachment, type Via, WAYS } from "../../lab/netns/call.ts";
import { VFIO } from "../../lab/netns/devices.ts";
import { inside } from "../../lab/netns/inside.ts";
import { unchanged } from "../../lab/netns/unchanged.ts";
import { World } from "../../lab/netns/world.ts";
import { until } from "../../lab/until.ts";

const world = await World.create();
t.teardown(() => world.close());
const pods = [await world.pod(), await world.pod(), await world.pod()];
const networks = ["red", "red", "blue"];

/** Two attachments of network red and one of blue, each with a VF and a pod. */
async function attachThree(t: Test, via: Via): Promise<Attachment[]> {
  const all = pods.map((pod, i) => world.attachment(pod, { name: networks[i], deviceID: world.vfs[i]!.pci }));
  for (const a of all) t.equal((await world.call(via, "ADD", a)).exit, 0);
  return all;
}

const links = async (): Promise<boolean[]> => {
  const there: boolean[] = [];
  for (const pod of pods) there.push((await inside(pod)).links.includes("net1"));
  return there;
};

/** A GC call for network red. */
const gc = (config: object): Attachment => ({
  id: "",
  netns: "",
  ifname: "",
  config: { cniVersion: "1.1.0", name: "red", type: "railnet-sriov", ipam: { type: "fake-ipam" }, ...config },
});

const keep = (...all: Attachment[]) => ({
  "cni.dev/valid-attachments": all.map(({ id, ifname }) => ({ containerID: id, ifname })),
});

for (const via of WAYS) {
  t.test(`GC 106, 111: ends what the list lacks, of this network only, and asks IPAM (${via})`, (t) =>
    unchanged(t, world, via, async () => {
      const [a, b, c] = (await attachThree(t, via)) as [Attachment, Attachment, Attachment];
      t.match(await world.call(via, "GC", gc(keep(b))), { exit: 0, stdout: "", stderr: "" });
      t.same(await links(), [false, true, true]);
      t.equal(world.records().length, 2);
      t.same(world.ipam.calls("DEL"), [{ verb: "DEL", containerId: a.id, ifname: "net1" }]);
      t.equal(world.ipam.calls("GC").length, 1);
      for (const each of [a, b, c]) t.equal((await world.call(via, "DEL", each)).exit, 0);
    }),
  );

  t.test(`GC 107, 108: an empty list is not a missing one (${via})`, (t) =>
    unchanged(t, world, via, async () => {
      const [, , c] = await attachThree(t, via);
      t.match(await world.call(via, "GC", gc({})), { exit: 0, stdout: "" });
      t.same(await links(), [true, true, true], "without a list nothing is done");
      t.equal((await world.call(via, "GC", gc({ "cni.dev/attachments": [] }))).exit, 0);
      t.same(await links(), [true, true, true], "the draft's key is not the list");
      t.equal((await world.call(via, "GC", gc(keep()))).exit, 0);
      t.same(await links(), [false, false, true]);
      t.equal((await world.call(via, "DEL", c!)).exit, 0);
    }),
  );

  t.test(`GC 106: the interface counts, not the container alone (${via})`, (t) =>
    unchanged(t, world, via, async () => {
      const a = world.attachment(pods[0]!, { name: "red" });
      const b = { ...a, ifname: "net2", config: { ...a.config, deviceID: world.vfs[1]!.pci } };
      for (const each of [a, b]) t.equal((await world.call(via, "ADD", each)).exit, 0);
      t.equal((await world.call(via, "GC", gc(keep(b)))).exit, 0);
      t.same((await inside(pods[0]!)).links, ["lo", "net2"]);
      t.equal((await world.call(via, "DEL", b)).exit, 0);
    }),
  );

  t.test(`GC 110: one that fails does not stop the others, and is named (${via})`, (t) =>
    unchanged(t, world, via, async () => {
      const [a] = (await attachThree(t, via)) as [Attachment, Attachment, Attachment];
      world.ipam.on("DEL", `[ "$CNI_CONTAINERID" != "${a.id}" ] || { echo '{"code":120,"msg":"pool away"}'; exit 1; }`);
      const { exit, json } = await world.call(via, "GC", gc(keep()));
      t.match({ exit, code: json?.["code"] }, { exit: 1, code: 100 });
      for (const word of [a.id, "pool away", "1 of 2"]) t.match(json?.["msg"], word);
      t.same(await links(), [false, false, true], "the VFs are back, also of the one whose address is not released");
      world.ipam.on("DEL", "exit 0");
      t.equal((await world.call(via, "GC", gc(keep()))).exit, 0, "the next run ends it");
      t.equal((await world.call(via, "GC", { ...gc(keep()), config: { ...gc(keep()).config, name: "blue" } })).exit, 0);
    }),
  );

  t.test(`GC of sandboxes whose namespaces are gone (${via})`, (t) =>
    unchanged(t, world, via, async () => {
      const pod = await world.pod();
      const vfio = world.attachment(pod, { name: "red", deviceID: VFIO });
      t.equal((await world.call(via, "ADD", vfio)).exit, 0);
      await world.removePod(pod);
      t.equal((await world.call(via, "GC", gc(keep()))).exit, 0);
    }),
  );

  interface Row {
    readonly when: string;
    readonly config?: object;
    readonly before?: () => void | Promise<void>;
    readonly after?: () => void | Promise<void>;
    /** None: exit 0. */
    readonly code?: number;
    readonly says?: readonly string[];
  }
  const devices = join(world.sysfs.root, "bus/pci/devices");

  const ROWS: readonly Row[] = [
    { when: "114: without a rail" },
    { when: "114: with a rail by name", config: { rail: "rail1" } },
    { when: "114: with a rail by index", config: { rail: 1 } },
    { when: "114: with a rail by PCI address", config: { rail: "0000:a1:00.0" } },
    { when: "115: with an unknown rail", config: { rail: "rail7" }, code: 50, says: ["rail7", "is not a PF"] },
    { when: "115: with a rail that has no VFs", config: { rail: "bare" }, code: 50, says: ["bare", "sriov_numvfs"] },
    {
      when: "115: on a node without SR-IOV",
      before: () => {
        renameSync(devices, `${devices}.away`);
        mkdirSync(devices);
      },
      after: () => {
        rmSync(devices, { recursive: true });
        renameSync(`${devices}.away`, devices);
      },
      code: 50,
      says: ["no SR-IOV device"],
    },
    {
      when: "115: with a rail without carrier",
      config: { rail: "rail0" },
      before: () => world.host.batch(["link set rail0p down"]),
      after: () => world.host.batch(["link set rail0p up"]),
      code: 51,
      says: ["rail0", "no carrier"],
    },
    {
      when: "115: with a rail that is down",
      config: { rail: "rail0" },
      before: () => world.host.batch(["link set rail0 down"]),
      after: () => world.host.batch(["link set rail0 up"]),
      code: 51,
      says: ["rail0"],
    },
    {
      when: "116: with an IPAM plugin that is not well",
      before: () => world.ipam.on("STATUS", `echo '{"code":50,"msg":"pool is empty"}'; exit 1`),
      code: 50,
      says: ["pool is empty"],
    },
    {
      when: "116: with an IPAM plugin that is not there",
      config: { ipam: { type: "nowhere" } },
      code: 100,
      says: ["nowhere"],
    },
    {
      when: "111: with an IPAM plugin that is older than STATUS",
      before: () => world.ipam.on("STATUS", `echo '{"code":4,"msg":"unknown CNI_COMMAND: STATUS"}'; exit 1`),
    },
  ];

  for (const { when, config, before, after, code, says = [] } of ROWS)
    t.test(`STATUS ${when} (${via})`, (t) =>
      unchanged(t, world, via, async () => {
        await before?.();
        const { exit, stdout, json } = await world.call(via, "STATUS", gc({ name: "red", ...config }));
        await after?.();
        if (code === undefined) t.match({ exit, stdout }, { exit: 0, stdout: "" });
        else t.match({ exit, code: json?.["code"] }, { exit: 1, code });
        for (const word of says) t.match(json?.["msg"], word);
      }),
    );
}

t.test("a PF whose kernel calls are stuck holds up neither STATUS nor the other's GC, and is named", (t) =>
  unchanged(t, world, "shim", async () => {
    const [here, there] = [pods[0]!, pods[2]!];
    const hasRail = async (pod: typeof here) => (await inside(pod)).links.includes("net1");
    const stuck = world.attachment(here, { name: "red", deviceID: world.vfs[0]!.pci });
    const stale = world.attachment(there, { name: "red", deviceID: world.vfs[2]!.pci });
    t.equal((await world.call("shim", "ADD", stale)).exit, 0);
    world.faults("add-moved hold");
    const adding = world.call("shim", "ADD", stuck);
    await until("the first PF's thread is stuck", () => hasRail(here));
    const collecting = world.call("shim", "GC", gc(keep(stuck)));
    t.equal((await world.call("shim", "STATUS", gc({}))).exit, 0);
    await until("the other PF's attachment is collected", async () => !(await hasRail(there)));
    t.match(await collecting, { exit: 1, json: { code: 11, msg: /the kernel does not answer for PF 0000:a0:00\.0/ } });
    world.faults();
    t.equal((await adding).exit, 0);
    for (const a of [stuck, stale]) t.equal((await world.call("shim", "DEL", a)).exit, 0);
  }),
);
