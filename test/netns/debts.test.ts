// What cannot be restored holds up no pod's end: a driver that was unbound, or failed, under a pod.
import { spawn } from "node:child_process";
import { once } from "node:events";
import { readdirSync } from "node:fs";
import { join } from "node:path";
import t, { type Test } from "tap";
import { type Attachment, type Via, WAYS } from "../../lab/netns/call.ts";
import { pause } from "../../lab/netns/run.ts";
import { showName, unbind } from "../../lab/netns/unbind.ts";
import { unchanged } from "../../lab/netns/unchanged.ts";
import { World } from "../../lab/netns/world.ts";
import { until } from "../../lab/until.ts";

const world = await World.create();
t.teardown(() => world.close());
const [vf] = world.vfs;
const owed = () => readdirSync(join(world.stateDir, "owed"));

async function succeeds(t: Test, via: Via, verb: "ADD" | "DEL", a: Attachment): Promise<void> {
  const { exit, stdout, stderr } = await world.call(via, verb, a);
  t.equal(exit, 0, `${verb} of ${a.id}: ${stdout}${stderr}`);
}

for (const via of WAYS)
  t.test(`DEL of a VF whose driver was unbound under the pod ends the pod; the VF is owed its link (${via})`, (t) =>
    unchanged(t, world, via, async () => {
      const pod = await world.pod();
      const env = { CNI_ARGS: "IgnoreUnknown=1;K8S_POD_NAMESPACE=prod;K8S_POD_NAME=train-0" };
      const a = world.attachment(pod, { mac: "02:00:00:00:00:aa" }, { env });
      await succeeds(t, via, "ADD", a);
      const bind = await unbind(world, pod);
      await succeeds(t, via, "DEL", a);
      await succeeds(t, via, "DEL", a);
      t.same(world.records(), []);
      t.match(world.ipam.calls("DEL")[0], { containerId: a.id }, "its address is released");
      t.same(owed(), [`${vf!.pci}.json`]);

      const next = world.attachment(await world.spare());
      const refused = await world.call(via, "ADD", next);
      t.match(refused, { exit: 1, json: { code: 101 } });
      for (const word of [vf!.pci, "prod/train-0", "restored since", "link (cannot", "no driver is bound"])
        t.match(refused.json?.["msg"], word);
      const status = await world.railnet("status", "--json");
      t.match(JSON.parse(status.stdout), {
        debts: [{ vf: vf!.pci, rail: "rail0", since: "prod/train-0", owed: [{ part: "link", why: /no driver/ }] }],
      });
      const doctor = await world.railnet("doctor");
      t.match(
        doctor.stdout,
        new RegExp(
          `WRONG +rails +VF ${vf!.pci} of rail0 is given to no pod: it is not fully restored since prod/train-0`,
        ),
      );
      if (via === "shim") {
        const metrics = await world.host.exec("curl", "-s", "http://127.0.0.1:9808/metrics");
        t.match(metrics, /^railnet_vf_debts 1$/m);
        t.match(metrics, /^railnet_vfs\{rail="rail0",pf="rail0",state="owed"\} 1$/m);
      }

      await bind();
      if (via === "alone")
        t.match(await world.railnet("reconcile"), { exit: 0, stdout: /was not fully restored.*: ended/ });
      await until("the debt is settled", () => owed().length === 0, { everyMs: 100 });
      showName(world);
      await succeeds(t, via, "ADD", next);
      await succeeds(t, via, "DEL", next);
      await world.removePod(pod);
    }),
  );

t.test("ADD settles what the VF is owed, when it can", (t) =>
  unchanged(t, world, "alone", async () => {
    const pod = await world.pod();
    const a = world.attachment(pod);
    await succeeds(t, "alone", "ADD", a);
    const bind = await unbind(world, pod);
    await succeeds(t, "alone", "DEL", a);
    await bind();
    const next = world.attachment(pod);
    world.sysfs.removeNetdev(vf!.pci, "eth7");
    world.sysfs.addNetdev(vf!.pci, vf!.netdev); // the name that it has once the debt is settled
    await succeeds(t, "alone", "ADD", next);
    t.same(owed(), []);
    await succeeds(t, "alone", "DEL", next);
    await world.removePod(pod);
  }),
);

t.test("the agent settles a debt whose VF was in use when its driver came back", (t) =>
  unchanged(t, world, "shim", async () => {
    const pod = await world.pod();
    const a = world.attachment(pod);
    await succeeds(t, "shim", "ADD", a);
    const bind = await unbind(world, pod);
    await succeeds(t, "shim", "DEL", a);
    const lock = join(world.runDir, "locks", `vf-${vf!.pci}`);
    const holder = spawn("flock", [lock, "sh", "-c", 'echo held; cat; rm "$0"', lock], {
      stdio: ["pipe", "pipe", "inherit"],
    });
    t.teardown(() => holder.kill("SIGKILL"));
    await once(holder.stdout, "data");
    await bind();
    await pause(5_000); // it has looked, and nothing will change any more
    t.same(owed(), [`${vf!.pci}.json`]);
    holder.stdin.end();
    await until("the debt is settled", () => owed().length === 0, { everyMs: 100 });
    showName(world);
    await world.removePod(pod);
  }),
);
