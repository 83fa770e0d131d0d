import { mkdirSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import t from "tap";
import { WAYS } from "../../lab/netns/call.ts";
import { inside } from "../../lab/netns/inside.ts";
import { unchanged } from "../../lab/netns/unchanged.ts";
import { World } from "../../lab/netns/world.ts";
import { attachmentKey } from "../../records/record-files.ts";

const world = await World.create({ vfs: 1 });
t.teardown(() => world.close());
const pod = await world.pod();
const NEEDS = "another format needs another version, and a reader of this one: pods outlive upgrades";

t.test(`version 1 of an attachment's record is as it was released; ${NEEDS}`, (t) =>
  unchanged(t, world, "alone", async () => {
    const a = world.attachment(pod, { sourceRules: true, ipam: { type: world.ipam.name } });
    t.equal((await world.call("alone", "ADD", a)).exit, 0);
    const record = world.record();
    t.same(Object.keys(record).sort(), ["addresses", "applied", "bootId", "containerId", "device", "hasRules", "ifname", "link", "netns", "netnsInode", "network", "original", "phase", "request", "rules", "version"]); // biome-ignore format: one row
    t.match(record, { version: 1, phase: "attached", netns: pod.path, netnsInode: pod.inode });
    t.same(Object.keys(record["device"] as object).sort(), ["pci", "pf"]);
    t.same(Object.keys(record["request"] as object).sort(), ["args", "path", "stdin"]);
    await world.call("alone", "DEL", a);
  }),
);

for (const via of WAYS)
  t.test(`a record that version 1 requires no more of ends by DEL, ${via}`, (t) =>
    unchanged(t, world, via, async () => {
      const a = world.attachment(pod);
      await world.call(via, "ADD", a);
      const [name] = world.records();
      const { version, bootId, containerId, ifname, network, netns, netnsInode, device, original, request } =
        world.record(name);
      const least = {
        version,
        phase: "claimed",
        bootId,
        containerId,
        ifname,
        network,
        netns,
        netnsInode,
        device,
        original,
        applied: {},
        request,
      };
      // A line for each change, the last of which a power cut has torn.
      writeFileSync(
        join(world.stateDir, "attachments", name!),
        `${JSON.stringify(least)}\n{"phase":"attached"}\n{"pha`,
      );
      t.equal((await world.call(via, "DEL", a)).exit, 0);
      t.same((await inside(pod)).links, ["lo"]);
    }),
  );

t.test(`version 1 of a record of addresses is as it was released; ${NEEDS}`, (t) =>
  unchanged(t, world, "alone", async () => {
    const a = world.attachment(pod, { ipam: { type: "railnet-ipam", range: "10.9.0.0/24" } });
    t.equal((await world.call("alone", "ADD", a)).exit, 0);
    const dir = join(world.stateDir, "ipam");
    const [name] = readdirSync(dir).filter((file) => file.endsWith(".json"));
    t.equal(name, `${attachmentKey(a.id, a.ifname)}.json`);
    const lines = readFileSync(join(dir, name!), "utf8").split("\n");
    const record = Object.assign({}, ...lines.map((line) => JSON.parse(line)));
    t.same(
      lines.slice(1).map((line) => JSON.parse(line).phase),
      ["held"],
      "a change is a line",
    );
    t.same(Object.keys(record).sort(), ["addresses", "netns", "netnsInode", "network", "owner", "phase", "since", "storage", "version"]); // biome-ignore format: one row
    t.match(record, { version: 1, phase: "held", storage: { kind: "directory" } });
    mkdirSync(dir, { recursive: true });
    writeFileSync(
      join(dir, name!),
      JSON.stringify({ ...record, phase: "claiming", later: "unknown fields are left alone" }),
    );
    t.equal((await world.call("alone", "DEL", a)).exit, 0);
    t.same(
      readdirSync(dir).filter((file) => file.endsWith(".json")),
      [],
    );
  }),
);

t.test("records of a later release, which somebody went back from, stay as they are", (t) =>
  unchanged(t, world, "alone", async () => {
    const a = world.attachment(pod, { ipam: { type: "railnet-ipam", range: "10.9.0.0/24" } });
    t.equal((await world.call("alone", "ADD", a)).exit, 0);
    const files = ["attachments", "ipam"].map((dir) => {
      const [name] = readdirSync(join(world.stateDir, dir)).filter((file) => file.endsWith(".json"));
      return join(world.stateDir, dir, name!);
    });
    const texts = files.map((file) => readFileSync(file, "utf8"));
    const later = texts.map((text) => text.replace('"version":1', '"version":2'));
    for (const [i, file] of files.entries()) writeFileSync(file, later[i]!);
    const agent = await world.agent();
    t.match(await world.railnet("reconcile"), { exit: 0 });
    t.notMatch(agent.log, /set aside/);
    t.same(
      files.map((file) => readFileSync(file, "utf8")),
      later,
    );
    t.same((await inside(pod)).links, ["lo", "net1"], "and so does the pod");
    await world.noAgent();
    for (const [i, file] of files.entries()) writeFileSync(file, texts[i]!);
    t.equal((await world.call("alone", "DEL", a)).exit, 0);
  }),
);
