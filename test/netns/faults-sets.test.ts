// A set of VFs, one of each rail: dies and fails after every step of every rail, as single ones do in faults.test.ts.
import { readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import t, { type Test } from "tap";
import { type Attachment, type Reply, type Via, WAYS } from "../../lab/netns/call.ts";
import { inside } from "../../lab/netns/inside.ts";
import type { Netns } from "../../lab/netns/netns.ts";
import { unchanged } from "../../lab/netns/unchanged.ts";
import { World } from "../../lab/netns/world.ts";

const world = await World.create({ shimMs: { REFUSED: 20 } });
t.teardown(() => world.close());
const addressDir = join(world.dir, "addresses");
writeFileSync(join(world.dir, "node.json"), JSON.stringify({ node: "node-a", directory: addressDir }));

const RAILS = ["rail0", "rail1"];
const VFS = [world.vfs[0]!, world.vfs.find(({ rail }) => rail === "rail1")!];

/** What an ADD does for each rail, `@` before it, and once for all; then DEL, the last rail first. */
const ADD_STEPS = [
  "add-locked",
  "@add-recorded",
  "add-journalled",
  "@add-pf-configured",
  "@add-moved",
  "add-addresses-reserved",
  "@add-configured",
  "@add-rdma-moved",
  "@add-device-info-written",
];
const DEL_STEPS = [
  "del-locked",
  "del-rdma-returned",
  "del-link-returned",
  "del-pf-restored",
  "del-returned",
  "del-addresses-released",
  "del-forgotten",
];
const of = (rails: readonly string[]) => (step: string) =>
  step.startsWith("@") ? rails.map((rail) => `${step.slice(1)}@${rail}`) : [step];
const ADDS = [...ADD_STEPS.flatMap(of(RAILS)), "add-attached@rail1", "add-attached@rail0", "add-committed"];
const DELS = RAILS.toReversed().flatMap((rail) => DEL_STEPS.map((step) => `${step}@${rail}`));

/** Addresses of a plugin that is executed, and of our own, which is asked beside the kernel's work. */
const IPAMS = {
  foreign: { type: world.ipam.name },
  own: { type: "railnet-ipam", same_index: true },
};
const set = (pod: Netns, ipam: keyof typeof IPAMS): Attachment =>
  world.attachment(pod, {
    name: "rails",
    deviceID: VFS.map(({ pci }) => pci).join(),
    mtu: 1400,
    sourceRules: true,
    ipam: IPAMS[ipam],
    rails: RAILS.map((rail, i) => ({ rail, ipam: { range: `10.2${i}.0.0/24` } })),
  });

/** Makes a call with a fault in it; the shim, and what it runs after the agent's death, do not see it. */
async function strike(via: Via, verb: "ADD" | "DEL", a: Attachment, fault: string): Promise<Reply> {
  world.faults(fault);
  const reply = await world.call(via, verb, { ...a, ...(via === "shim" && { env: { RAILNET_FAULT_FILE: "" } }) });
  world.faults();
  if (via === "shim" && fault.endsWith("kill")) await world.noAgent("leave its socket");
  await world.quiet();
  return reply;
}

async function succeeds(t: Test, via: Via, verb: "ADD" | "DEL", a: Attachment): Promise<Reply> {
  const reply = await world.call(via, verb, a);
  t.equal(reply.exit, 0, `${verb} of ${a.id}: ${reply.stdout}${reply.stderr}`);
  return reply;
}

const names = (dir: string): string[] => {
  try {
    return readdirSync(dir).filter((name) => !name.startsWith("."));
  } catch {
    return [];
  }
};

/** Runs a scenario in a pod of its own; at its end nothing of it may be left. */
function scenario(t: Test, via: Via, ipam: keyof typeof IPAMS, run: (a: Attachment, pod: Netns) => Promise<void>) {
  return unchanged(t, world, via, async () => {
    const pod = await world.pod();
    await run(set(pod, ipam), pod);
    t.same((await inside(pod)).links, ["lo"], "no VF is in the pod");
    t.same(names(join(world.stateDir, "ipam")), [], "no address is on record");
    await world.railnet("reconcile"); // lock files of killed processes
    await world.removePod(pod);
  });
}

async function reconcile(t: Test, via: Via): Promise<void> {
  if (via === "shim") return world.restartAgent();
  const { exit, stdout, stderr } = await world.railnet("reconcile");
  t.equal(exit, 0, stdout + stderr);
}

/** What comes after a call that died. */
const AFTERMATHS: Readonly<Record<string, (t: Test, via: Via, a: Attachment, pod: Netns) => Promise<void>>> = {
  "DEL of the runtime": async (t, via, a) => void (await succeeds(t, via, "DEL", a)),

  "no DEL ever, the reconciler": async (t, via, a, pod) => {
    await reconcile(t, via);
    const { links } = await inside(pod);
    if (world.records().length === 0) return;
    t.same(links, ["lo", ...RAILS], "all or none");
    for (const name of world.records()) t.match(world.record(name), { phase: "attached" });
    await succeeds(t, via, "DEL", a);
  },

  "ADD once more": async (t, via, a, pod) => {
    const isWhole =
      world.records().length === 2 &&
      world.records().every((name) => world.record(name)["phase"] === "attached") &&
      (await inside(pod)).links.length === 3;
    const reply = await world.call(via, "ADD", a);
    t.match(reply, isWhole ? { exit: 1, json: { code: 102 } } : { exit: 0 }, reply.stdout);
    await succeeds(t, via, "DEL", a);
  },

  "a rail's VF for another container": async (t, via, a) => {
    const other = world.attachment(await world.spare(), { deviceID: VFS[1]!.pci, ipam: {} });
    const isWhole =
      world.records().length === 2 && world.records().every((name) => world.record(name)["phase"] === "attached");
    const reply = await world.call(via, "ADD", other);
    t.match(reply, isWhole ? { exit: 1, json: { code: 102, msg: a.id } } : { exit: 0 }, reply.stdout);
    await succeeds(t, via, "DEL", a);
    await succeeds(t, via, "DEL", other);
  },
};

async function traced(
  t: Test,
  via: Via,
  verb: "ADD" | "DEL",
  a: Attachment,
): Promise<{ steps: string[]; reply: Reply }> {
  const file = join(world.dir, "steps");
  world.faults(`trace ${file}`);
  const reply = await succeeds(t, via, verb, a);
  await world.quiet();
  world.faults();
  const steps = readFileSync(file, "utf8")
    .trim()
    .split("\n")
    .filter((step) => !step.startsWith("ipam-"));
  rmSync(file);
  return { steps, reply };
}

for (const via of WAYS)
  for (const ipam of Object.keys(IPAMS) as (keyof typeof IPAMS)[])
    t.test(`a set takes all its steps, in order, and every rail is as a single one (${ipam} IPAM, ${via})`, (t) =>
      scenario(t, via, ipam, async (a, pod) => {
        const { steps, reply } = await traced(t, via, "ADD", a);
        t.same(
          steps,
          ADDS.map((step) => step.split("@")[0]),
        );
        t.match(reply.json, {
          interfaces: RAILS.map((name, i) => ({ name, sandbox: pod.path, pciID: VFS[i]!.pci, mtu: 1400 })),
        });
        t.same((await inside(pod)).links, ["lo", ...RAILS]);
        for (const rail of RAILS)
          t.match(await inside(pod, rail), { up: true, mtu: 1400, rules: { length: RAILS.length } }, rail);
        if (ipam === "own")
          t.same(
            [await inside(pod, "rail0"), await inside(pod, "rail1")].map(({ addresses }) => addresses),
            [["10.20.0.1/24"], ["10.21.0.1/24"]],
          );
        const [first] = await pod.show("link", "show", "net1");
        t.equal(first?.["ifname"], "rail0", "the runtime's name finds the first");
        const { json } = await world.call(via, "CHECK", { ...a, config: { ...a.config, prevResult: reply.json } });
        t.same(json, undefined, "CHECK");
        t.same(
          (await traced(t, via, "DEL", a)).steps,
          DELS.map((step) => step.split("@")[0]),
        );
      }),
    );

const ALL = Object.keys(AFTERMATHS);
for (const [via, adds, dels] of [
  ["alone", ALL, ALL.slice(0, 2)],
  ["shim", ALL.slice(1, 2), ALL.slice(1, 2)],
] as const) {
  for (const [i, step] of ADDS.entries())
    for (const aftermath of via === "alone" ? [adds[i % adds.length]!, adds[(i + 1) % adds.length]!] : adds)
      t.test(`ADD of a set, kill after ${step}, then ${aftermath} (${via})`, (t) =>
        scenario(t, via, i % 2 ? "own" : "foreign", async (a, pod) => {
          const { exit, signal } = await strike(via, "ADD", a, `${step} kill`);
          if (via === "alone") t.equal(signal, "SIGKILL");
          else t.equal(exit, 1);
          await AFTERMATHS[aftermath]!(t, via, a, pod);
        }),
      );

  for (const [i, step] of DELS.entries()) {
    const aftermath = dels[i % dels.length]!;
    t.test(`DEL of a set, kill after ${step}, then ${aftermath} (${via})`, (t) =>
      scenario(t, via, i % 2 ? "own" : "foreign", async (a) => {
        await succeeds(t, via, "ADD", a);
        const { exit, signal } = await strike(via, "DEL", a, `${step} kill`);
        if (via === "alone") t.equal(signal, "SIGKILL");
        else t.equal(exit, 0, "the shim has the executable do the rest");
        if (aftermath !== ALL[0]) await reconcile(t, via);
        await succeeds(t, via, "DEL", a);
      }),
    );
  }
}

t.test("GC goes by the name that the runtime knows: a set of a living pod stays, in IPAM's journal, too", (t) =>
  scenario(t, "alone", "own", async (a, pod) => {
    await succeeds(t, "alone", "ADD", a);
    const gc = (ifname: string) =>
      world.call("alone", "GC", {
        ...a,
        config: { ...a.config, "cni.dev/valid-attachments": [{ containerID: a.id, ifname }] },
      });
    t.equal((await gc("net1")).exit, 0);
    t.same((await inside(pod)).links, ["lo", ...RAILS]);
    t.equal(names(join(world.stateDir, "ipam")).length, 2);
    t.equal((await gc("rail0")).exit, 0);
    t.same(world.records(), []);
  }),
);

for (const via of WAYS)
  t.test(`STATUS of a set looks at every rail (${via})`, (t) =>
    scenario(t, via, "own", async (a) => {
      t.equal((await world.call(via, "STATUS", a)).exit, 0);
      const bad = { ...a, config: { ...a.config, rails: [{ rail: "rail0" }, { rail: "bare" }] } };
      t.match(await world.call(via, "STATUS", bad), { exit: 1, json: { code: 50, msg: /bare has no VFs/ } });
    }),
  );
