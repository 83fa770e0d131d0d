// Records on a disk that is cut off, full, read-only, torn, or somebody else's.
import fs from "node:fs";
import { join } from "node:path";
import t, { type Test } from "tap";
import { makeDirectory, readIfThere } from "../../records/durable.ts";
import { attachmentKey, RecordFiles, type Torn } from "../../records/record-files.ts";
import { parseRecord } from "../../records/record-text.ts";
import { cutDuring, replacing, textIn } from "./support/traced.ts";

type Json = Record<string, unknown>;
const record = (more: Json = {}): Json => ({ version: 1, who: "a", ...more });
const open = (dir: string) =>
  new RecordFiles<Json>(join(dir, "records"), {
    title: "the journal",
    tornPrefix: "x-",
    parse: (text) => parseRecord(text),
  });

const failure = (code: string): Error => Object.assign(new Error(`${code}: planted`), { code });
const failing =
  (code: string) =>
  (..._: unknown[]): never => {
    throw failure(code);
  };

const put = (files: RecordFiles<Json>, synced: boolean) =>
  files.write("a.json", JSON.stringify(record({ n: 2 })), { synced });

/** Each way to write, and whether what it wrote is on the disk when it answers. */
for (const { way, there, write, isDurable } of [
  { way: "write(), synced, the first record of a node", there: false, write: (files: RecordFiles<Json>) => put(files, true), isDurable: true },
  { way: "write(), synced, in the place of another", there: true, write: (files: RecordFiles<Json>) => put(files, true), isDurable: true },
  { way: "write(), not synced", there: true, write: (files: RecordFiles<Json>) => put(files, false), isDurable: false },
  { way: "append(), synced", there: true, write: (files: RecordFiles<Json>) => files.append("a.json", { n: 2 }, { synced: true }), isDurable: true },
  { way: "append(), not synced", there: true, write: (files: RecordFiles<Json>) => files.append("a.json", { n: 2 }, { synced: false }), isDurable: false },
  { way: "write() and sync()", there: true, write: (files: RecordFiles<Json>) => [put(files, false), files.sync("a.json")], isDurable: true },
  { way: "write() and syncTogether()", there: true, write: (files: RecordFiles<Json>) => [put(files, false), files.syncTogether(["a.json"])][1], isDurable: true },
]) // biome-ignore format: rows
  t.test(`${way}: what a power cut leaves`, async (t) => {
    const dir = t.testdir({});
    const files = open(dir);
    if (there) files.write("a.json", JSON.stringify(record({ n: 1 })), { synced: false });
    const states = await cutDuring(dir, () => write(files));
    const of = (answered: boolean) =>
      states
        .filter((state) => state.answered === answered)
        .map((state) => {
          const text = textIn(state, join(dir, "records/a.json"));
          return text === undefined ? "none" : read(text);
        });
    t.equal(new Set(of(true)).size === 1, isDurable, `after the answer: ${[...new Set(of(true))].join(", ")}`);
    t.ok(of(true).includes("n 2"));
    if (!way.includes("and")) t.equal(of(false).includes("torn"), !isDurable && way.startsWith("write"), "torn before"); // a change that is torn is none
  });

function read(text: string): string {
  try {
    return `n ${parseRecord(text)["n"]}`;
  } catch {
    return "torn";
  }
}

for (const { way, plant, code } of [
  { way: "a disk that is full", plant: { writeFileSync: failing("ENOSPC") }, code: "ENOSPC" },
  { way: "a disk that does not take what it was given", plant: { fdatasyncSync: failing("EIO") }, code: "EIO" },
  { way: "a file system that is read-only", plant: { openSync: failing("EROFS"), rmSync: failing("EROFS") }, code: "EROFS" },
] as const) // biome-ignore format: rows
  t.test(`write() and append() on ${way} fail, and the record is as before`, async (t) => {
    const dir = t.testdir({});
    const files = open(dir);
    files.write("a.json", JSON.stringify(record({ n: 1 })), { synced: true });
    const before = fs.readFileSync(join(dir, "records/a.json"), "utf8");
    for (const write of [
      () => files.write("a.json", JSON.stringify(record({ n: 2 })), { synced: true }),
      () => files.append("a.json", { n: 2 }, { synced: true }),
    ]) {
      using _ = replacing(plant as Partial<typeof fs>);
      t.throws(write, { name: "RecordError", message: `cannot write the journal in ${dir}/records: ${code}: planted` });
    }
    t.equal(fs.readFileSync(join(dir, "records/a.json"), "utf8"), before);
    t.same(fs.readdirSync(join(dir, "records")), ["a.json"], "no temporary file is left");
  });

t.test("append() that is cut short by a full disk is taken back", async (t) => {
  const dir = t.testdir({});
  const files = open(dir);
  files.write("a.json", JSON.stringify(record()), { synced: false });
  const file = join(dir, "records/a.json");
  const before = fs.readFileSync(file, "utf8");
  {
    const half = (fd: number, text: string) => {
      fs.writeSync(fd, text.slice(0, 4));
      throw failure("ENOSPC");
    };
    using _ = replacing({ writeFileSync: half as typeof fs.writeFileSync });
    t.throws(() => files.append("a.json", { n: 2 }, { synced: false }), { name: "RecordError" });
  }
  t.equal(fs.readFileSync(file, "utf8"), before);
});

t.test("sync() and syncTogether() say when a disk does not take it", async (t) => {
  const dir = t.testdir({});
  const files = open(dir);
  files.write("a.json", JSON.stringify(record()), { synced: false });
  const refused = (fd: number, done: (error: Error) => void) => void setImmediate(done, failure(`EIO of ${fd > 0}`));
  using _ = replacing({ fsyncSync: failing("EIO"), fsync: refused as unknown as typeof fs.fsync });
  t.throws(() => files.sync("a.json"), { name: "RecordError", message: /EIO: planted/ });
  await t.rejects(files.syncTogether(["a.json"]), { name: "RecordError", message: /EIO of true: planted/ });
});

t.test("what is not there is no error: names, records, changes, forgetting", async (t) => {
  const dir = t.testdir({});
  const files = open(dir);
  t.same(files.names(), []);
  t.same(files.tornNames(), []);
  t.equal(files.read("a.json"), undefined);
  t.equal(files.append("a.json", {}, { synced: true }), false);
  t.same([...files.sweep(() => t.fail("nothing is torn"))], []);
  files.forget("a.json");
  t.equal(readIfThere(join(dir, "none")), undefined);
  t.throws(() => readIfThere(dir), { code: "EISDIR" });
});

t.test("what cannot be read is one, and says which directory", async (t) => {
  const dir = t.testdir({ records: "a file" });
  t.throws(() => open(dir).names(), { name: "RecordError", message: new RegExp(`^cannot read the journal in ${dir}/records: ENOTDIR`) });
  t.throws(() => open(dir).append("a.json", {}, { synced: true }), { name: "RecordError", message: /^cannot write the journal/ });
  t.throws(() => open(dir).write("a.json", "{}", { synced: true }), { name: "RecordError" });
}); // biome-ignore format: rows

t.test(
  "sweep() yields what is whole, sets aside what is torn, leaves a later release's, removes old leftovers",
  async (t) => {
    const dir = t.testdir({
      records: {
        "a.json": JSON.stringify(record({ n: 1 })),
        "b.json": '{"version":1,"who":',
        "c.json": JSON.stringify({ version: 2 }),
        "d.json": JSON.stringify(record({ n: 4 })),
        "old.tmp": "half",
        "new.tmp": "half",
        "note.txt": "somebody's",
      },
    });
    const files = open(dir);
    const minutes = (ago: number) => new Date(Date.now() - ago * 60_000);
    fs.utimesSync(join(dir, "records/old.tmp"), minutes(2), minutes(2));
    const torn: Torn[] = [];
    t.same([...files.sweep((one) => torn.push(one), (name) => name !== "d.json")].map(({ n }) => n), [1]); // biome-ignore format: one row
    t.match(torn, [{ file: join(dir, "records/../torn/x-b.json"), why: /JSON/ }]);
    t.same(fs.readdirSync(join(dir, "records")).sort(), ["a.json", "c.json", "d.json", "new.tmp", "note.txt"]);
    fs.writeFileSync(join(dir, "torn/y-z.json"), "another journal's");
    t.same(files.tornNames(), ["b.json"]);
    t.equal(fs.readFileSync(join(dir, "torn/x-b.json"), "utf8"), '{"version":1,"who":');
    t.same(files.names().sort(), ["a.json", "c.json", "d.json"]);
    t.same(files.select((name) => name !== "a.json").map(({ n }) => n), [4]); // biome-ignore format: one row
  },
);

t.test("write() keeps records from everybody else", async (t) => {
  const dir = t.testdir({});
  open(dir).write("a.json", JSON.stringify(record()), { synced: false });
  const mode = (path: string) => (fs.statSync(join(dir, path)).mode & 0o777).toString(8);
  t.same([mode("records"), mode("records/a.json")], ["700", "600"]);
});

t.test("makeDirectory(): every directory that it makes is on the disk", async (t) => {
  const dir = t.testdir({});
  const states = await cutDuring(dir, () => makeDirectory(join(dir, "a/b/c")));
  t.ok(states.filter(({ answered }) => answered).every(({ tree }) => tree.names.has(join(dir, "a/b/c"))));
  const again = await cutDuring(dir, () => makeDirectory(join(dir, "a/b/c")));
  t.equal(again.length, 2, "one that is there is not waited for"); // before and after the answer
});

t.test("attachmentKey() is one of container and interface together", async (t) => {
  const keys = [attachmentKey("ab", "c"), attachmentKey("a", "bc"), attachmentKey("ab", "d"), attachmentKey("ab", "c")];
  t.equal(new Set(keys).size, 3);
  t.equal(keys[0], keys[3]);
  for (const key of keys) t.match(key, /^[0-9a-f]{32}$/);
});

for (const { when, text, want } of [
  { when: "a line of each change", text: '{"version":1,"a":1}\n{"a":2}\n{"b":3}', want: { version: 1, a: 2, b: 3 } },
  { when: "a change that is not whole", text: '{"version":1,"a":1}\n{"a":2}\n{"a":', want: { version: 1, a: 2 } },
  { when: "a change behind one that is not whole", text: '{"version":1,"a":1}\n{"a":\n{"a":3}', want: { version: 1, a: 3 } },
  { when: "zeros in the place of a change", text: '{"version":1,"a":1}\0\0\0\0', want: { version: 1, a: 1 } },
  { when: "zeros behind a change", text: '{"version":1,"a":1}\n{"a":2}\0\0', want: { version: 1, a: 2 } },
  { when: "a later release's", text: '{"version":2}', want: { name: "LaterVersionError", message: "version 2 is of a later release" } },
  { when: "a version that is none", text: '{"version":"x"}', want: { name: "SyntaxError", message: "unknown version x" } },
  { when: "no version", text: "{}", want: { name: "SyntaxError", message: "unknown version undefined" } },
  { when: "version 0", text: '{"version":0}', want: { name: "SyntaxError", message: "unknown version 0" } },
  { when: "null", text: "null", want: { name: "SyntaxError", message: "not an object" } },
  { when: "a text", text: '"a"', want: { name: "SyntaxError", message: "not an object" } },
  { when: "nothing", text: "", want: { name: "SyntaxError" } },
  { when: "a first line that is not whole", text: '{"version":1,', want: { name: "SyntaxError" } },
]) // biome-ignore format: rows
  t.test(`parseRecord() of ${when}`, async (t: Test) => {
    if ("name" in want) t.throws(() => parseRecord(text), want);
    else t.same(parseRecord(text), want);
  });
