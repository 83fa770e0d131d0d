import * as fs from "node:fs";
import { join } from "node:path";
import t from "tap";
import { placeExecutable, placeText, sweepTemporaries } from "../../../daemonset/install/place.ts";

const dir = t.testdir({ source: "new".repeat(1 << 20), shorter: "new", old: "old" });
const source = join(dir, "source");
const at = (name: string) => join(dir, "to", name);
const names = () => fs.readdirSync(join(dir, "to")).sort();
const modeOf = (path: string) => (fs.statSync(path).mode & 0o7777).toString(8);

t.beforeEach(() => fs.mkdirSync(join(dir, "to")));
t.afterEach(() => fs.rmSync(join(dir, "to"), { recursive: true }));

t.test("placeExecutable() makes a whole copy of mode 755, whatever the umask, and nothing else", async (t) => {
  const before = process.umask(0o077);
  t.teardown(() => process.umask(before));
  t.ok(placeExecutable(source, at("a")));
  t.ok(fs.readFileSync(at("a")).equals(fs.readFileSync(source)));
  t.equal(modeOf(at("a")), "755");
  t.same(names(), ["a"]);
});

t.test("placeExecutable() leaves alone what has the same content and mode", async (t) => {
  placeExecutable(source, at("a"));
  const { ino, mtimeMs } = fs.statSync(at("a"));
  t.notOk(placeExecutable(source, at("a")));
  t.match(fs.statSync(at("a")), { ino, mtimeMs });
});

function replaceByLink(path: string): void {
  fs.rmSync(path);
  fs.symlinkSync(source, path);
}

for (const [what, spoil] of [
  ["other content of the same length", (path: string) => fs.writeSync(fs.openSync(path, "r+"), "x", 1 << 20)],
  ["a shorter file", (path: string) => fs.truncateSync(path, 7)],
  ["another mode", (path: string) => fs.chmodSync(path, 0o644)],
  ["a link", replaceByLink],
] as const)
  t.test(`placeExecutable() replaces ${what}`, async (t) => {
    placeExecutable(source, at("a"));
    spoil(at("a"));
    t.ok(placeExecutable(source, at("a")));
    t.ok(fs.readFileSync(at("a")).equals(fs.readFileSync(source)));
    t.ok(fs.lstatSync(at("a")).isFile());
    t.equal(modeOf(at("a")), "755");
  });

t.test("placeExecutable() leaves an open file to whoever runs it", async (t) => {
  placeExecutable(join(dir, "old"), at("a"));
  const running = fs.openSync(at("a"), "r");
  t.teardown(() => fs.closeSync(running));
  placeExecutable(join(dir, "shorter"), at("a"));
  t.equal(fs.readFileSync(running, "utf8"), "old");
});

t.test("placeExecutable() that fails before its rename leaves the old file and no temporary one", async (t) => {
  placeExecutable(join(dir, "old"), at("a"));
  t.throws(() => placeExecutable(source, at("a"), fail), {
    message: `cannot put ${at("a")} in its place: at install-a-written`,
  });
  t.equal(fs.readFileSync(at("a"), "utf8"), "old");
  t.same(names(), ["a"]);
});

t.test("placeExecutable() calls its steps before and after the rename", async (t) => {
  const seen: [step: string, isThere: boolean][] = [];
  placeExecutable(source, at("a"), (step) => seen.push([step, fs.existsSync(at("a"))]));
  t.same(seen, [["install-a-written", false], ["install-a-placed", true]]); // biome-ignore format: one row
});

t.test("placeText() writes text and mode, once", async (t) => {
  t.ok(placeText("x", at("new/kubeconfig"), 0o600));
  t.equal(modeOf(at("new/kubeconfig")), "600");
  t.notOk(placeText("x", at("new/kubeconfig"), 0o600));
  fs.chmodSync(at("new/kubeconfig"), 0o644);
  t.ok(placeText("x", at("new/kubeconfig"), 0o600), "readable for all: not what was asked for");
  t.equal(modeOf(at("new/kubeconfig")), "600");
});

t.test("sweepTemporaries() deletes what killed installers left, and nothing of others", async (t) => {
  for (const name of [".a.railnet-new", "a", ".a", "a.railnet-new", ".b.new"]) fs.writeFileSync(at(name), "");
  sweepTemporaries(join(dir, "to"));
  t.same(names(), [".a", ".b.new", "a", "a.railnet-new"]);
  sweepTemporaries(at("nowhere"));
});

function fail(step: string): void {
  throw new Error(`at ${step}`);
}
