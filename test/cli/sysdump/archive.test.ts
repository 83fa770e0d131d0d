import { execFileSync } from "node:child_process";
import { existsSync, mkdtempSync, readFileSync, rmSync, statSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import t from "tap";
import { Archive } from "../../../cli/sysdump/archive.ts";
import { collect, type Item } from "../../../cli/sysdump/collect.ts";
import { Redactor } from "../../../cli/sysdump/redact.ts";
import { type TarEntry, tarEntry } from "../../../cli/sysdump/tar.ts";

const work = mkdtempSync(join(tmpdir(), "railnet-archive-"));
t.teardown(() => rmSync(work, { recursive: true }));

t.test("Archive is read by GNU tar: empty files, long names, every length", async (t) => {
  const to = join(work, "a.tar.gz");
  const long = `${"d".repeat(120)}/${"f".repeat(99)}`;
  const files = [
    ["empty", ""],
    ["one", "1"],
    ["block", "b".repeat(512)],
    ["more", "m".repeat(513)],
    [long, "x"],
    ["nodes/größe.txt", "ü"],
  ] as const;
  using archive = new Archive(to, "top");
  for (const [path, text] of files) archive.add({ path, content: Buffer.from(text) });
  const bytes = await archive.close();
  t.equal(bytes, statSync(to).size);
  t.equal(statSync(to).mode & 0o777, 0o600, "for its owner alone");
  execFileSync("tar", ["-xzf", to, "-C", work]);
  for (const [path, text] of files) t.equal(readFileSync(join(work, "top", path), "utf8"), text, path.slice(0, 20));
  t.throws(() => tarEntry({ path: "x".repeat(101), content: Buffer.of() }, 0), /the name is too long/);
});

t.test("an archive that is not closed leaves nothing", async (t) => {
  const to = join(work, "b.tar.gz");
  {
    using archive = new Archive(to, "top");
    archive.add({ path: "a", content: Buffer.from("a") });
  }
  t.notOk(existsSync(to) || existsSync(`${to}.new`));
});

const text = (path: string, read: Item["read"]): Item => ({ path, read });
const read = async (items: Iterable<Item>, itemBytes = 1_000) => {
  const entries: TarEntry[] = [];
  const outcomes = await collect(items, new Redactor(["hunter2hunter2"]), { itemMs: 50, itemBytes }, (one) =>
    entries.push(one),
  );
  return {
    outcomes,
    files: Object.fromEntries(entries.map(({ path, content }) => [path, Buffer.from(content).toString()])),
  };
};

t.test("collect() goes on behind what fails, hangs or is not there, and says so", async (t) => {
  let isAborted = false;
  const { outcomes, files } = await read([
    text("a", async () => "a"),
    text("b", () => Promise.reject(new Error("cannot read b: password=hunter2hunter2"))),
    text("c", (signal) => new Promise(() => signal.addEventListener("abort", () => (isAborted = true)))),
    text("d", async () => undefined),
    text("e", async () => Buffer.from("hunter2hunter2 is it")),
  ]);
  t.same(files, { a: "a", e: "[redacted] is it" });
  t.match(outcomes, [
    { path: "a", bytes: 1 },
    { path: "b", error: "cannot read b: password=[redacted]" },
    { path: "c", error: "took longer than 0.05 s" },
    { path: "d", error: "not here" },
    { path: "e", bytes: 16 },
  ]);
  t.ok(isAborted, "what took too long is told");
});

t.test("collect() keeps the end of what is long, in whole lines, and looks for secrets before it cuts", async (t) => {
  const { files, outcomes } = await read([text("log", async () => `${"x".repeat(80)}\nhunter2hunter2\nlast\n`)], 20);
  t.equal(files["log"], "[redacted]\nlast\n");
  t.match(outcomes, [{ isCut: true }]);
  const cut = await read([text("log", async () => "a\nhunter2hunter2 hunter2hunter2\n")], 25);
  t.notMatch(cut.files["log"], /hunter/);
});
