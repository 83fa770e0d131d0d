import { readFileSync, rmSync } from "node:fs";
import { join } from "node:path";
import t, { type Test } from "tap";
import { type Attachment, type Reply, type Via, WAYS } from "../../lab/netns/call.ts";
import { inside } from "../../lab/netns/inside.ts";
import type { Netns } from "../../lab/netns/netns.ts";
import { reusable, unchanged } from "../../lab/netns/unchanged.ts";
import { World } from "../../lab/netns/world.ts";

// A refused connection, that of a killed agent, is soon taken as the absence of one.
const world = await World.create({ shimMs: { REFUSED: 20 } });
t.teardown(() => world.close());

/** What ADD and DEL do, in order. It stands here too: a step that the product leaves out is missed. */
const ADD_STEPS = ["add-locked", "add-journalled", "add-pf-configured", "add-moved", "add-addresses-reserved", "add-configured", "add-rdma-moved", "add-device-info-written", "add-committed"] as const; // biome-ignore format: one row
const DEL_STEPS = ["del-locked", "del-rdma-returned", "del-link-returned", "del-pf-restored", "del-returned", "del-addresses-released", "del-forgotten"] as const; // biome-ignore format: one row
type Step = (typeof ADD_STEPS)[number] | (typeof DEL_STEPS)[number];

/** All that an ADD changes on a machine without SR-IOV. */
const CONFIG = {
  mac: "02:00:00:00:00:aa",
  mtu: 1400,
  sourceRules: true,
  runtimeConfig: { CNIDeviceInfoFile: join(world.deviceInfoDir, "net1") },
};
const RESULT = { ips: [{ address: "10.20.0.5/24", gateway: "10.20.0.1" }, { address: "fd00:20::5/64" }] };

/** Makes a call with a fault in it. The shim does not see the fault: what it runs after the agent's death goes through. */
async function strike(via: Via, verb: "ADD" | "DEL", a: Attachment, ...faults: string[]): Promise<Reply> {
  world.faults(...faults);
  const reply = await world.call(via, verb, { ...a, ...(via === "shim" && { env: { RAILNET_FAULT_FILE: "" } }) });
  world.faults();
  if (via === "shim" && faults.some((f) => f.endsWith("kill"))) await world.noAgent("leave its socket");
  await world.quiet();
  return reply;
}

/** What the caller of a process hears that was killed. */
function checkKilled(t: Test, via: Via, { exit, signal, stdout, json }: Reply): void {
  if (via === "alone") t.match({ signal, stdout }, { signal: "SIGKILL", stdout: "" });
  else t.match({ exit, code: json?.["code"] }, { exit: 1, code: 11 }, "the shim says: try again later");
}

function checkFailed(t: Test, { exit, json }: Reply, step: Step): void {
  t.equal(exit, 1);
  t.match(json, { code: 100, msg: `cannot go on after ${step}: injected fault` });
}

async function succeeds(t: Test, via: Via, verb: "ADD" | "DEL", a: Attachment): Promise<void> {
  const reply = await world.call(via, verb, a);
  t.equal(reply.exit, 0, `${verb} of ${a.id}: ${reply.stdout}${reply.stderr}`);
}

/** The reconciler, as the agent runs it when it starts, or alone. */
async function reconcile(t: Test, via: Via): Promise<void> {
  if (via === "shim") return world.restartAgent();
  const { exit, stdout, stderr } = await world.railnet("reconcile");
  t.equal(exit, 0, stdout + stderr);
}

const hasVf = async (pod: Netns): Promise<boolean> => (await inside(pod)).links.includes("net1");

/**
 * What comes after a call that died or failed. At its end nothing may be left of the attachment.
 *
 * @param isEnding it was a DEL that had begun to change something.
 */
type Aftermath = (t: Test, via: Via, a: Attachment, pod: Netns, isEnding: boolean) => Promise<void>;

const AFTERMATHS: Readonly<Record<string, Aftermath>> = {
  "DEL of the runtime": (t, via, a) => succeeds(t, via, "DEL", a),

  "no DEL ever, the reconciler": async (t, via, a, pod, isEnding) => {
    await reconcile(t, via);
    if (isEnding) t.same(world.records(), [], "what DEL began is ended, and not attached once more");
    if (world.records().length === 0) {
      t.notOk(await hasVf(pod), "the VF has left the pod");
      return;
    }
    // What counts as attached is ended when its namespace goes; a veth would go with it, so that is for real VFs to show.
    t.match(world.record(), { phase: "attached" });
    if (await hasVf(pod)) return succeeds(t, via, "DEL", a);
    await world.removePod(pod);
    await reconcile(t, via);
  },

  "the next container's ADD": async (t, via, a, pod) => {
    const isAttached = world.records().length > 0 && world.record()["phase"] === "attached" && (await hasVf(pod));
    const other = world.attachment(await world.spare(), { name: "other" });
    const reply = await world.call(via, "ADD", other);
    if (isAttached) {
      t.match(reply, { exit: 1, json: { code: 102, msg: a.id } }, "it is refused: the VF is in use");
      return succeeds(t, via, "DEL", a);
    }
    t.equal(reply.exit, 0, reply.stdout);
    await succeeds(t, via, "DEL", a);
    const { up, addresses } = await inside(await world.spare());
    t.match({ up, addresses }, { up: true, addresses: ["10.20.0.5/24"] }, "the late DEL left the new owner alone");
    await succeeds(t, via, "DEL", other);
  },

  "ADD once more": async (t, via, a, pod) => {
    const isAttached = world.records().length > 0 && world.record()["phase"] === "attached" && (await hasVf(pod));
    const reply = await world.call(via, "ADD", a);
    t.match(reply, isAttached ? { exit: 1, json: { code: 102 } } : { exit: 0 }, reply.stdout);
    await succeeds(t, via, "DEL", a);
  },
};

/** Runs a scenario with an attachment of its own in a pod of its own. */
function scenario(t: Test, via: Via, run: (a: Attachment, pod: Netns) => Promise<void>, proven = reusable) {
  return proven(t, world, via, async () => {
    world.ipam.gives(RESULT);
    const pod = await world.pod();
    await run(world.attachment(pod, CONFIG), pod);
    await world.removePod(pod);
  });
}

interface Row {
  readonly verb: "ADD" | "DEL";
  readonly step: Step;
  readonly fault: "kill" | "fail";
  readonly aftermath: string;
}

/** Every fault with every aftermath; through the shim, where the process is another and the code the same, fewer. */
const rows = (via: Via): Row[] => {
  const pairs = (
    verb: Row["verb"],
    fault: Row["fault"],
    steps: readonly Step[],
    aftermaths: readonly string[],
  ): Row[] => steps.flatMap((step) => aftermaths.map((aftermath) => ({ verb, step, fault, aftermath })));
  const all = Object.keys(AFTERMATHS);
  return [
    ...pairs("ADD", "kill", ADD_STEPS, via === "alone" ? all : all.slice(0, 2)),
    ...pairs("DEL", "kill", DEL_STEPS, via === "alone" ? all.slice(0, 3) : all.slice(0, 1)),
    ...pairs("DEL", "fail", DEL_STEPS, via === "alone" ? all.slice(1, 3) : all.slice(0, 1)),
  ];
};

/** Makes a call. @returns the steps that it took. */
async function traced(t: Test, via: Via, verb: "ADD" | "DEL", a: Attachment): Promise<string[]> {
  const file = join(world.dir, "steps");
  world.faults(`trace ${file}`);
  await succeeds(t, via, verb, a);
  await world.quiet();
  world.faults();
  const steps = readFileSync(file, "utf8").trim().split("\n");
  rmSync(file);
  return steps;
}

for (const via of WAYS) {
  t.test(`ADD and DEL take all their steps, in order (${via})`, (t) =>
    scenario(t, via, async (a) => {
      t.same(await traced(t, via, "ADD", a), ADD_STEPS);
      t.same(world.deviceInfos(), ["net1"]);
      t.same(await traced(t, via, "DEL", a), DEL_STEPS);
    }),
  );

  for (const { verb, step, fault, aftermath } of rows(via))
    t.test(`${verb}, ${fault} after ${step}, then ${aftermath} (${via})`, (t) =>
      scenario(
        t,
        via,
        async (a, pod) => {
          if (verb === "DEL") await succeeds(t, via, "ADD", a);
          const reply = await strike(via, verb, a, `${step} ${fault}`);
          if (fault === "fail") checkFailed(t, reply, step);
          else if (via === "alone" || verb === "ADD") checkKilled(t, via, reply);
          else t.equal(reply.exit, 0, `the shim does it without the agent: ${reply.stdout}`);
          await AFTERMATHS[aftermath]!(t, via, a, pod, verb === "DEL" && step !== "del-locked");
        },
        aftermath.includes("ADD") ? unchanged : reusable,
      ),
    );

  // After the last step nothing can fail any more.
  for (const step of ADD_STEPS.slice(0, -1))
    t.test(`ADD, fail after ${step}, undoes itself (${via})`, (t) =>
      scenario(t, via, async (a, pod) => {
        checkFailed(t, await strike(via, "ADD", a, `${step} fail`), step);
        t.notOk(await hasVf(pod));
        t.same(world.records(), []);
      }),
    );

  for (const step of DEL_STEPS.slice(1))
    t.test(`ADD, fail with its undo failing after ${step} too, says why it failed, and DEL ends it (${via})`, (t) =>
      scenario(t, via, async (a) => {
        checkFailed(t, await strike(via, "ADD", a, "add-configured fail", `${step} fail`), "add-configured");
        await succeeds(t, via, "DEL", a);
      }),
    );
}
