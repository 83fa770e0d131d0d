import {
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  truncateSync,
  utimesSync,
  writeFileSync,
} from "node:fs";
import { join } from "node:path";
import t, { type Test } from "tap";
import { type Attachment, type Via, WAYS } from "../../lab/netns/call.ts";
import { inside } from "../../lab/netns/inside.ts";
import { must } from "../../lab/netns/run.ts";
import { picture, reusable, unchanged } from "../../lab/netns/unchanged.ts";
import { World } from "../../lab/netns/world.ts";

const world = await World.create();
t.teardown(() => world.close());
const pod = await world.pod();
const records = join(world.stateDir, "attachments");
const torn = join(world.stateDir, "torn");
const CONFIG = { mac: "02:00:00:00:00:aa", mtu: 1400 };

async function succeeds(t: Test, via: Via, verb: "ADD" | "DEL", a: Attachment): Promise<void> {
  const { exit, stdout, stderr } = await world.call(via, verb, a);
  t.equal(exit, 0, `${verb} of ${a.id}: ${stdout}${stderr}`);
}

/** What a power cut, a disk or a person may make of a record. */
const DAMAGES: Readonly<Record<string, (file: string) => void>> = {
  empty: (file) => truncateSync(file),
  "cut in half": (file) => truncateSync(file, readFileSync(file).length >> 1),
  garbage: (file) => writeFileSync(file, Buffer.from([0, 255, 1, 254, 10])),
  zeros: (file) => writeFileSync(file, Buffer.alloc(700)),
  null: (file) => writeFileSync(file, "null"),
  "of no version": (file) => writeFileSync(file, JSON.stringify({ ...world.record(), version: 0 })),
  "without its device": (file) => writeFileSync(file, JSON.stringify({ ...world.record(), device: undefined })),
  "another one's": (file) => writeFileSync(file, JSON.stringify({ ...world.record(), containerId: "x" })),
  "a directory": (file) => {
    rmSync(file);
    mkdirSync(file);
  },
};

for (const via of WAYS) {
  for (const [what, damage] of Object.entries(DAMAGES))
    t.test(`DEL with a record that is ${what} puts the VF back; the reconciler sets the record aside (${via})`, (t) =>
      unchanged(t, world, via, async () => {
        const a = world.attachment(pod, CONFIG);
        await succeeds(t, via, "ADD", a);
        const [name] = world.records();
        damage(join(records, name!));
        const before = await picture(world);
        await world.railnet("reconcile");
        t.same([world.records(), readdirSync(torn)], [[], [name]], "it is kept for a person to look at");
        t.same(await picture(world), before, "and nothing is done to the pod, which may live");
        rmSync(torn, { recursive: true });
        await succeeds(t, via, "DEL", a);
        t.same((await inside(pod)).links, ["lo"]);
      }),
    );

  t.test(`ADD of a VF whose record is cut is error 102, and DEL removes the record (${via})`, (t) =>
    reusable(t, world, via, async () => {
      const a = world.attachment(pod, CONFIG);
      await succeeds(t, via, "ADD", a);
      truncateSync(join(records, world.records()[0]!), 20);
      const other = world.attachment(await world.spare());
      t.match(await world.call(via, "ADD", other), { exit: 1, json: { code: 102, msg: world.vfs[0]!.pci } });
      await succeeds(t, via, "DEL", a);
      t.same((await inside(pod)).links, ["lo"]);
    }),
  );

  t.test(`DEL and the reconciler take an ADD whose end is half on record for unfinished (${via})`, (t) =>
    unchanged(t, world, via, async () => {
      for (const verb of ["DEL", "reconcile"] as const) {
        const a = world.attachment(pod, CONFIG);
        await succeeds(t, via, "ADD", a);
        const file = join(records, world.records()[0]!);
        truncateSync(file, readFileSync(file).length - 9);
        if (verb === "DEL") await succeeds(t, via, "DEL", a);
        else t.match(await world.railnet("reconcile"), { exit: 0, stdout: /its ADD or DEL did not finish: ended/ });
        t.same([world.records(), (await inside(pod)).links], [[], ["lo"]]);
      }
    }),
  );

  t.test(`ADD on a full disk is error 5 and changes nothing (${via})`, (t) =>
    unchanged(t, world, via, () =>
      onSmallDisk(async (fill) => {
        fill();
        const { exit, json } = await world.call(via, "ADD", world.attachment(pod));
        t.match({ exit, code: json?.["code"] }, { exit: 1, code: 5 });
        for (const word of ["journal", records, /ENOSPC|no space/i]) t.match(json?.["msg"], word);
        t.same(world.ipam.calls(), []);
        t.same(readdirSync(records), [], "no half of a file is left");
      }),
    ),
  );

  t.test(`DEL on a full disk works (${via})`, (t) =>
    unchanged(t, world, via, () =>
      onSmallDisk(async (fill) => {
        const a = world.attachment(pod, CONFIG);
        await succeeds(t, via, "ADD", a);
        fill();
        await succeeds(t, via, "DEL", a);
      }),
    ),
  );

  t.test(`ADD, STATUS and DEL with a state directory that is read-only (${via})`, (t) =>
    unchanged(t, world, via, () =>
      onSmallDisk(async (_, remount) => {
        const a = world.attachment(pod, CONFIG);
        const before = await picture(world);
        await succeeds(t, via, "ADD", a);
        await remount("ro");
        const other = world.attachment(pod, { deviceID: world.vfs[1]!.pci }, { ifname: "net2" });
        const { json } = await world.call(via, "ADD", other);
        t.match(json, { code: 5, msg: /journal.*(EROFS|read-only)/i });
        t.match(await world.call(via, "STATUS", a), { exit: 1, json: { code: 50, msg: world.stateDir } });
        const deleted = await world.call(via, "DEL", a);
        t.match(deleted, { exit: 1, json: { msg: /EROFS|read-only/i } }, "it says that its record stays");
        t.same(await picture(world), before, "but the VF is back");
        await remount("rw");
        await succeeds(t, via, "DEL", a);
      }),
    ),
  );

  t.test(`ADD with a file in the place of the state directory is error 5 (${via})`, (t) =>
    unchanged(t, world, via, async () => {
      renameSync(world.stateDir, `${world.stateDir}.away`);
      writeFileSync(world.stateDir, "");
      const { exit, json } = await world.call(via, "ADD", world.attachment(pod));
      rmSync(world.stateDir);
      renameSync(`${world.stateDir}.away`, world.stateDir);
      t.match({ exit, json }, { exit: 1, json: { code: 5, msg: "journal" } });
    }),
  );
}

t.test("railnet reconcile ends records of another boot without touching a link", (t) =>
  unchanged(t, world, "alone", async () => {
    const a = world.attachment(pod);
    await succeeds(t, "alone", "ADD", a);
    const before = await inside(pod);
    world.editRecord({ bootId: "00000000-0000-0000-0000-000000000000" });
    const { exit, stdout } = await world.railnet("reconcile");
    t.match({ exit, stdout }, { exit: 0, stdout: /rebooted: ended/ });
    t.same(world.ipam.calls("DEL").length, 1);
    t.same(await inside(pod), before);
    await succeeds(t, "alone", "DEL", a);
  }),
);

t.test("railnet reconcile removes temporary files of writers that were killed, once they are old", (t) =>
  unchanged(t, world, "alone", async () => {
    for (const name of ["old.json.tmp", "new.json.tmp"]) writeFileSync(join(records, name), "{");
    const old = Date.now() / 1000 - 3600;
    utimesSync(join(records, "old.json.tmp"), old, old);
    t.match(await world.railnet("reconcile"), { exit: 0 });
    t.same(readdirSync(records), ["new.json.tmp"]);
    rmSync(join(records, "new.json.tmp"));
  }),
);

t.test("railnet reconcile says what failed, exits 1 and goes on with the next", (t) =>
  unchanged(t, world, "alone", async () => {
    const [a, b] = world.vfs
      .slice(0, 2)
      .map(({ pci }, i) => world.attachment(pod, { deviceID: pci }, { ifname: `net${i}` }));
    for (const each of [a!, b!]) {
      await succeeds(t, "alone", "ADD", each);
      world.editRecord(
        { phase: "claimed" },
        world.records().find((name) => world.record(name)["containerId"] === each.id)!,
      );
    }
    world.ipam.on("DEL", `[ "$CNI_CONTAINERID" != "${a!.id}" ] || { echo '{"code":120,"msg":"pool away"}'; exit 1; }`);
    const { exit, stdout } = await world.railnet("reconcile");
    t.equal(exit, 1);
    t.match(stdout, new RegExp(`${a!.id} \\(net0\\): its ADD or DEL did not finish: FAILED: .*pool away`));
    t.match(stdout, new RegExp(`${b!.id} \\(net1\\): its ADD or DEL did not finish: ended`));
    t.same((await inside(pod)).links, ["lo"]);
    world.ipam.on("DEL", "exit 0");
    t.match(await world.railnet("reconcile"), { exit: 0, stdout: /addresses were not released: ended/ });
  }),
);

type Remount = (how: "ro" | "rw") => Promise<string>;

/** Runs with a state directory on a disk of its own, of 64 KiB. */
async function onSmallDisk(run: (fill: () => void, remount: Remount) => Promise<void>): Promise<void> {
  mkdirSync(world.stateDir, { recursive: true });
  await must("mount", ["-t", "tmpfs", "-o", "size=64k", "tmpfs", world.stateDir]);
  try {
    mkdirSync(records);
    const fill = () => {
      try {
        for (let i = 0; ; i++) writeFileSync(join(world.stateDir, `filler${i}`), Buffer.alloc(4096));
      } catch {} // no space left
    };
    await run(fill, (how) => must("mount", ["-o", `remount,${how}`, world.stateDir]));
  } finally {
    await must("umount", [world.stateDir]);
  }
}
