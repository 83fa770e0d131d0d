// A power cut at any instant of installing on a node, upgrading it or leaving it: every state of the disk that POSIX then allows
// (lab/netns/crash-states.ts) keeps the promises of daemonset/install, and the same command goes on from there.
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import t, { type Test } from "tap";
import { readTree, writeTree } from "../../lab/netns/crash-states.ts";
import { DiskTracer } from "../../lab/netns/disk-trace.ts";
import { type Deed, perform } from "../../lab/netns/install-node.ts";

const folder = mkdtempSync(join(tmpdir(), "railnet-cut-install-"));
t.teardown(() => rmSync(folder, { recursive: true }));
const tracer = new DiskTracer(folder);

const root = join(folder, "node");
/** What stands in the files of each release; a shim is known by a text that is in it. */
const RELEASES = { old: textsOf("old"), new: textsOf("new") };
const THEIRS = { sriov: "sriov-cni", rdma: "rdma-cni" };
const KUBECONFIG = JSON.stringify({ token: "t".repeat(64) });

function textsOf(release: string) {
  const texts = { railnet: `railnet ${release}`, shim: `railnet-host-exec ${release}` };
  const dir = join(folder, release);
  mkdirSync(dir);
  writeFileSync(join(dir, "railnet"), texts.railnet);
  writeFileSync(join(dir, "railnet-shim"), texts.shim);
  return { ...texts, dir };
}

const deed = (verb: Deed["verb"], release: keyof typeof RELEASES, ...aliases: Deed["aliases"]): Deed => ({
  verb,
  root,
  from: RELEASES[release].dir,
  aliases,
  ...(verb === "install" && { kubeconfig: KUBECONFIG }),
});

/** Who was there before, what is done, and whose each alias is at the end. */
const SCENES = {
  "a first installation": { before: [], now: deed("install", "new", "sriov", "rdma"), ours: ["sriov", "rdma"] },
  "an upgrade": { before: [deed("install", "old", "sriov")], now: deed("install", "new", "sriov", "rdma"), ours: ["sriov", "rdma"] },
  "names given back": { before: [deed("install", "new", "sriov", "rdma")], now: deed("install", "new"), ours: [] },
  "uninstalling": { before: [deed("install", "new", "sriov", "rdma")], now: deed("uninstall", "new"), ours: [] },
} satisfies Record<string, { before: Deed[]; now: Deed; ours: string[] }>; // biome-ignore format: rows

const read = (name: string): string | undefined => {
  const path = join(root, name);
  return existsSync(path) ? readFileSync(path, "utf8") : undefined;
};
const isOneOf = (text: string | undefined, ...texts: (string | undefined)[]) => texts.includes(text);

/** What a node promises at any instant, read from its files alone. */
function checkSound(t: Test, when: string): void {
  const { old, new: now } = RELEASES;
  const full = read("opt/railnet/bin/railnet");
  const config = read("etc/railnet/node.json");
  t.ok(isOneOf(full, undefined, old.railnet, now.railnet), `${when}: railnet is whole: ${full}`);
  t.ok(isOneOf(read("etc/railnet/kubeconfig"), undefined, KUBECONFIG), `${when}: kubeconfig is whole`);
  if (config !== undefined) t.equal(JSON.parse(config).node, "node-a", `${when}: node.json is whole`);
  for (const [name, theirs] of Object.entries({ ...THEIRS, "railnet-sriov": undefined, "railnet-ipam": undefined })) {
    const there = read(`opt/cni/bin/${name}`);
    t.ok(isOneOf(there, theirs, old.shim, now.shim), `${when}: ${name} is whole, and never missing: ${there}`);
    if (there === undefined || there === theirs) continue;
    t.ok(full === now.railnet || there === old.shim, `${when}: the shim ${name} is no newer than what it starts`);
    t.ok(full !== undefined, `${when}: the shim ${name} has what it starts`);
    t.ok(config !== undefined, `${when}: the shim ${name} finds its cluster`);
    if (theirs) t.equal(read(`opt/railnet/replaced/${name}`), theirs, `${when}: the other ${name} is kept`);
  }
}

function checkDone(t: Test, verb: Deed["verb"], ours: readonly string[], when: string): void {
  const { railnet, shim } = RELEASES.new;
  const isThere = verb === "install";
  t.equal(read("opt/railnet/bin/railnet"), isThere ? railnet : undefined, `${when}: railnet`);
  t.equal(read("etc/railnet/node.json") !== undefined, isThere, `${when}: node.json`);
  t.equal(read("etc/railnet/kubeconfig"), isThere ? KUBECONFIG : undefined, `${when}: kubeconfig`);
  for (const name of ["railnet-sriov", "railnet-ipam"])
    t.equal(read(`opt/cni/bin/${name}`), isThere ? shim : undefined, `${when}: ${name}`);
  for (const [name, theirs] of Object.entries(THEIRS))
    t.equal(read(`opt/cni/bin/${name}`), ours.includes(name) ? shim : theirs, `${when}: ${name}`);
}

for (const [what, { before, now, ours }] of Object.entries(SCENES))
  t.test(`the power is cut anywhere in ${what}`, async (t) => {
    rmSync(root, { recursive: true, force: true });
    mkdirSync(join(root, "opt/cni/bin"), { recursive: true });
    for (const [name, text] of Object.entries(THEIRS)) writeFileSync(join(root, "opt/cni/bin", name), text);
    for (const one of before) perform(one);
    const driver = resolve("lab/netns/install-node.ts");
    const { exit, stderr, states } = await tracer.run(root, [process.execPath, driver, JSON.stringify(now)]);
    t.equal(exit, 0, stderr);
    checkDone(t, now.verb, ours, "at the end");
    const end = readTree(root);
    let count = 0;
    for (const { tree, when, answered } of states) {
      writeTree(root, tree);
      checkSound(t, when);
      if (answered && now.verb === "install") checkDone(t, now.verb, ours, when);
      perform(now);
      checkDone(t, now.verb, ours, `${when}, then once more`);
      t.same(
        [...readTree(root).names.keys()].sort(),
        [...end.names.keys()].sort(),
        `${when}, then once more: nothing else`,
      );
      count++;
    }
    t.ok(count >= 5, `${count} states of the disk`);
  });
