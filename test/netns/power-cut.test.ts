// A power cut at any instant of a call: the executable runs once, traced, and every state of the disk that POSIX then allows is
// built (support/crash-states.ts) and started from. The files are read by the test alone.
import { existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import t from "tap";
import { AddressHost } from "../../lab/netns/address-host.ts";
import { judge, SCENES } from "../../lab/netns/address-scenes.ts";
import { type CrashState, writeTree } from "../../lab/netns/crash-states.ts";
import { DiskTracer } from "../../lab/netns/disk-trace.ts";
import { showName, unbind } from "../../lab/netns/unbind.ts";
import { World } from "../../lab/netns/world.ts";

t.setTimeout(1_200_000);
const root = mkdtempSync(join(tmpdir(), "railnet-cut-"));
t.teardown(() => rmSync(root, { recursive: true }));
const tracer = new DiskTracer(root);

for (const [what, scene] of Object.entries(SCENES))
  t.test(`the power is cut anywhere in ${what} of railnet-ipam`, async (t) => {
    using host = new AddressHost(root);
    for (const one of scene.there) await host.call("ADD", one);
    const { exit, states } = await host.traced(tracer, ...scene.call);
    t.equal(exit, 0);
    let count = 0;
    for (const state of states) {
      host.restart(state);
      const [verb, { id }] = scene.call;
      if (verb === "ADD" && state.answered)
        t.ok(
          host.held().some((line) => line.endsWith(id)),
          `${state.when}: what ADD gave is held`,
        );
      await judge(t, host, scene, state.when);
      t.same(host.torn(), [], `${state.when}: every record is whole`);
      count++;
    }
    t.ok(count >= 5, `${count} states of the disk`);
  });

t.test("DEL that has answered without its API server is on the disk", async (t) => {
  using host = new AddressHost(root);
  const { call, there } = SCENES["DEL"]!;
  for (const one of there) await host.call("ADD", one);
  host.loseCluster();
  const { exit, states } = await host.traced(tracer, ...call);
  t.equal(exit, 0);
  let answered = 0;
  for (const state of states) {
    host.restart(state);
    const phases = host.journal().flatMap(({ phase, claim }) => (claim.endsWith(call[1].id) ? [phase] : []));
    if (state.answered) t.same(phases, ["releasing"], `${state.when}: the agent will release it`);
    else t.match(phases, [/held|releasing/], `${state.when}: it is not forgotten`);
    answered += Number(state.answered);
  }
  t.ok(answered > 0);
});

/** What a reboot makes of records: they are of another boot. */
function ofAnotherBoot(dir: string): void {
  for (const name of existsSync(dir) ? readdirSync(dir) : []) {
    const file = join(dir, name);
    writeFileSync(file, readFileSync(file, "utf8").replace(/"bootId":"[^"]*"/, '"bootId":"before"'));
  }
}

for (const verb of ["ADD", "DEL"] as const)
  t.test(`the power is cut anywhere in ${verb} of railnet-sriov`, async (t) => {
    const world = await World.create({ vfs: 1 });
    t.teardown(() => world.close());
    const a = world.attachment(await world.pod(), { mac: "02:00:00:00:00:aa", mtu: 1400 });
    mkdirSync(world.stateDir);
    if (verb === "DEL") t.equal((await world.call("alone", "ADD", a)).exit, 0);
    const dir = world.stateDir;
    const { exit, states } = await tracer.watch(dir, (trace) =>
      world.call("alone", verb, a, { wrap: [tracer.tool, trace, dir] }),
    );
    t.equal(exit, 0);
    if (verb === "ADD")
      t.equal((await world.call("alone", "DEL", a)).exit, 0, "the VF is home again, as after a reboot");
    const notes = new Set<string>();
    let count = 0;
    for (const state of states) {
      writeTree(dir, state.tree);
      if (state.answered && verb === "ADD")
        t.equal(world.records().length, 1, `${state.when}: the attachment is on record`);
      ofAnotherBoot(join(dir, "attachments"));
      const { exit, stderr } = await world.railnet("reconcile");
      t.equal(exit, 0, `${state.when}: ${stderr}`);
      if (state.answered) t.notOk(existsSync(join(dir, "torn")), `${state.when}: the record is whole`);
      t.equal((await world.call("alone", "DEL", a)).exit, 0, `${state.when}: DEL succeeds`);
      t.same(
        world.records().filter((name) => name.endsWith(".json")),
        [],
        `${state.when}: and leaves nothing`,
      );
      if (isNew(notes, state, "vfs"))
        for (const again of ["ADD", "DEL"] as const)
          t.equal(
            (await world.call("alone", again, a)).exit,
            0,
            `${state.when}: ${again} with what is noted of its VF`,
          );
      count++;
    }
    t.ok(count >= 5, `${count} states of the disk`);
  });

/** Whether the files of a folder, as a power cut left them, are seen for the first time. */
function isNew(seen: Set<string>, { tree: { names, contents } }: CrashState, folder: string): boolean {
  const inFolder = [...names].filter(([name]) => name.includes(`/${folder}/`));
  const picture = inFolder
    .map(([name, id]) => `${name} ${contents.get(id)?.toString("hex")}`)
    .sort()
    .join();
  const before = seen.size;
  return seen.add(picture).size > before;
}

t.test("the power is cut anywhere in a DEL that leaves its VF something owed: a reboot settles it", async (t) => {
  const world = await World.create({ vfs: 1 });
  t.teardown(() => world.close());
  const pod = await world.pod();
  const a = world.attachment(pod, { mac: "02:00:00:00:00:aa" });
  t.equal((await world.call("alone", "ADD", a)).exit, 0);
  const bind = await unbind(world, pod);
  const dir = world.stateDir;
  const { exit, states } = await tracer.watch(dir, (trace) =>
    world.call("alone", "DEL", a, { wrap: [tracer.tool, trace, dir] }),
  );
  t.equal(exit, 0);
  t.ok(existsSync(join(dir, "owed", `${world.vfs[0]!.pci}.json`)), "its link is owed");
  await bind();
  t.equal((await world.railnet("reconcile")).exit, 0, "the VF is home again, as after a reboot");
  showName(world);
  const next = world.attachment(await world.spare());
  const seen = new Set<string>();
  for (const state of states) {
    if (!isNew(seen, state, "owed") && !state.answered) continue;
    writeTree(dir, state.tree);
    for (const folder of ["attachments", "owed"]) ofAnotherBoot(join(dir, folder));
    const { exit, stderr } = await world.railnet("reconcile");
    t.equal(exit, 0, `${state.when}: ${stderr}`);
    for (const verb of ["ADD", "DEL"] as const) {
      const { exit, stdout } = await world.call("alone", verb, next);
      t.equal(exit, 0, `${state.when}: the next pod's ${verb}: ${stdout}`);
    }
    t.same(
      world.records().filter((name) => name.endsWith(".json")),
      [],
      `${state.when}: nothing is left`,
    );
  }
  t.ok(seen.size >= 3, `${seen.size} states of what is owed`);
});

t.test("an installed file is the old or the new one, whole, and the new one once it is said to be there", async (t) => {
  const dir = join(root, "installed");
  mkdirSync(join(dir, "bin"), { recursive: true });
  writeFileSync(join(root, "source"), "new executable ".repeat(100));
  for (const [name, text] of [
    ["bin/old", "old executable ".repeat(50)],
    ["bin/none", undefined],
    ["new/bin/none", undefined],
  ] as const) {
    const file = join(dir, name);
    if (text) writeFileSync(file, text);
    const driver = resolve("lab/netns/place-executable.ts");
    const { exit, stderr, states } = await tracer.run(dir, [process.execPath, driver, join(root, "source"), file]);
    t.equal(exit, 0, stderr);
    let answered = 0;
    for (const { tree, when, answered: isSaid } of states) {
      const found = tree.names.has(file) ? tree.contents.get(tree.names.get(file)!)!.toString() : undefined;
      const isNew = found === readFileSync(join(root, "source"), "utf8");
      t.ok(isNew || (!isSaid && found === text), `${when}: ${found?.slice(0, 20)}`);
      answered += Number(isSaid);
    }
    t.ok(answered > 0);
  }
});
