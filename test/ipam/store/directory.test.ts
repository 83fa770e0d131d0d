import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import t from "tap";
import { DirectoryStore } from "../../../ipam/store/directory.ts";
import type { Owner, Pool } from "../../../ipam/store/store.ts";
import { StoreError } from "../../../ipam/store/store.ts";
import { must, start } from "../../../lab/netns/run.ts";
import { testStore } from "./contract.ts";
import { newNetwork, ownerOf, poolOf } from "./names.ts";
import { inTurns } from "./support/in-turns.ts";

const bun = resolve("node_modules/.bin/bun");
const driver = join(import.meta.dirname, "support/directory-driver.ts");
const root = mkdtempSync(join(tmpdir(), "railnet-addresses-"));
t.teardown(() => rmSync(root, { recursive: true, force: true }));

const lock = inTurns();
const open = (path = root) => new DirectoryStore(path, lock);

/** What files there are, read as anybody would: `network-<name>/<ip>.json`. */
function look(pool: Pool, path = root): Map<string, string> {
  const dir = join(path, `network-${pool.network}`);
  const held = new Map<string, string>();
  for (const name of readIf(dir)) {
    t.match(name, /^[\da-f.:]+\.(json|tmp)$/);
    if (name.endsWith(".tmp")) continue; // of a writer that was killed: nobody reads it
    const holdings = JSON.parse(readFileSync(join(dir, name), "utf8")) as { pool: string; owner: Owner }[];
    for (const { pool: through, owner } of holdings)
      if (through === pool.name) held.set(name.replace(/\.json$/, ""), owner.containerId);
  }
  return held;
}

const readIf = (dir: string): string[] => (statSync(dir, { throwIfNoEntry: false }) ? readdirSync(dir) : []);

for (const overlapping of [true, false]) testStore("DirectoryStore", { open, look }, { overlapping });

for (const { when, network } of [
  { when: "none", network: "" },
  { when: "slashes and dots", network: "../../etc/passwd" },
  { when: "two dots", network: ".." },
  { when: "line feeds and NUL", network: "a\nb\0c" },
  { when: "1,000 characters", network: "é".repeat(1000) },
  { when: "half a surrogate pair", network: "\ud800" },
])
  t.test(`DirectoryStore.claim() stays below its directory with a network name of ${when}`, async (t) => {
    const path = mkdtempSync(join(root, "odd-"));
    const inner = join(path, "inner");
    const pool = poolOf(network, "10.20.0.0/24", { name: "pool" });
    t.equal(await open(inner).claim({ pool, ip: "10.20.0.1", owner: ownerOf("p") }), undefined);
    t.equal((await open(inner).holder(pool, "10.20.0.1"))?.podref, "team/p");
    t.same(readdirSync(path), ["inner"]);
    t.equal(readdirSync(inner).length, 1);
    t.equal(await open(inner).release({ pool, ip: "10.20.0.1", owner: ownerOf("p") }), "released");
  });

t.test("DirectoryStore.claim() gives nobody an address whose file is torn, and names the file", async (t) => {
  const pool = poolOf(newNetwork(), "10.20.0.0/24");
  const [dir, ip, owner] = [join(root, `network-${pool.network}`), "10.20.0.3", ownerOf("p")];
  mkdirSync(dir);
  for (const text of ["", "{", "null", "[{}]", "[null]", '"text"']) {
    writeFileSync(join(dir, `${ip}.json`), text);
    t.match((await open().claim({ pool, ip, owner }))?.podref, /unreadable record .*10\.20\.0\.3\.json/, text);
    t.equal(await open().release({ pool, ip, owner }), "foreign");
    t.ok((await open().taken(pool)).has(0x0a140003n));
    t.equal(await open().claim({ pool, ip: "10.20.0.4", owner }), undefined, "others are given away all the same");
  }
});

t.test("DirectoryStore.claim() takes what a writer left that was killed between two of its steps", async (t) => {
  const pool = poolOf(newNetwork(), "10.20.0.0/24");
  const [dir, ip] = [join(root, `network-${pool.network}`), "10.20.0.3"];
  mkdirSync(dir);
  writeFileSync(join(dir, `${ip}.tmp`), "[{");
  t.equal(await open().claim({ pool, ip, owner: ownerOf("p") }), undefined);
  t.same([...look(pool)], [[ip, ownerOf("p").containerId]]);
});

t.test("DirectoryStore with a directory that is none refuses, naming it", async (t) => {
  const path = join(root, "file");
  writeFileSync(path, "");
  const pool = poolOf(newNetwork(), "10.20.0.0/24");
  for (const call of [
    () => open(path).check(),
    () => open(path).claim({ pool, ip: "10.20.0.1", owner: ownerOf("p") }),
  ]) {
    const error = await call().catch((e: unknown) => e);
    t.ok(error instanceof StoreError, String(error));
    t.match(String(error), new RegExp(`cannot (use|claim 10.20.0.1) in ${path}: .*E(NOTDIR|EXIST)`));
  }
});

const needsRoot = process.getuid?.() === 0 ? false : "needs root for its mounts";

t.test(
  "DirectoryStore on a full and on a read-only disk says so, and keeps what it has",
  { skip: needsRoot },
  async (t) => {
    const path = mkdtempSync(join(root, "disk-"));
    const script = `mount -t tmpfs -o size=64k,nr_inodes=40 none ${path} && exec ${bun} ${driver} disk ${path}`;
    const said = JSON.parse(await must("unshare", ["-m", "sh", "-c", script])) as Record<string, string>;
    t.match(said["full"], /^refused: cannot claim 10\.20\.0\.\d+ in .*: .*ENOSPC.*; free space on that disk$/);
    t.match(said["check when full"], /^refused: cannot use .*no space left on device; free space on that disk$/);
    t.match(said["read-only"], /^refused: cannot claim .*EROFS.*; mount it writable$/);
    t.equal(said["kept"], "true", "what was claimed before is still held");
    t.equal(said["released when full"], "released", "a release needs no space");
  },
);

t.test(
  "64 processes that claim and release while they are killed: no duplicate, no half file, nothing lost",
  async (t) => {
    const path = mkdtempSync(join(root, "storm-"));
    const network = newNetwork();
    const held = await storm(path, network);
    const pool = poolOf(network, "10.20.0.0/24");
    const there = look(pool, path);
    for (const [ip, id] of held) t.equal(there.get(ip), id, `${ip} is still held by the one who was told so`);
    t.ok(held.size >= 16, `${held.size} claims were acknowledged and kept`);
    const store = open(path);
    for (const [ip, containerId] of there) {
      const owner = (await store.holder(pool, ip))!;
      t.equal(await store.release({ pool, ip, owner: { ...owner, containerId } }), "released");
    }
    t.equal(look(pool, path).size, 0, "all comes back");
  },
);

const ENDS = ["ends", "is-killed", "dies-holding", "is-killed"];

/** @returns what the processes were told that they hold, and have not begun to give back: address to container ID. */
async function storm(path: string, network: string): Promise<Map<string, string>> {
  const logs = await Promise.all(
    Array.from({ length: 64 }, (_, i) => start(bun, [driver, "storm", path, network, String(i), ENDS[i % 4]!])),
  );
  t.equal(logs.filter(({ signal }) => signal === "SIGKILL").length, 48, "three in four were killed");
  t.same(logs.filter(({ signal, exit }) => signal !== "SIGKILL" && exit !== 0).map(({ stderr }) => stderr), [], "none failed"); // biome-ignore format: one row
  const held = new Map<string, string>();
  for (const line of readFileSync(`${path}.log`, "utf8").trim().split("\n")) {
    const [what, ip = "", id = ""] = line.split(" ");
    if (what === "releasing") held.delete(ip);
    else if (held.has(ip)) t.fail(`${ip} was given to ${id} while ${held.get(ip)} had it`);
    else held.set(ip, id);
  }
  return held;
}
