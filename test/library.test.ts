import { execFile } from "node:child_process";
import { globSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { promisify } from "node:util";
import t from "tap";

/** Without what the test runner adds to the environment of every process: its loaders do not get along with tsc. */
const run = (program: string, args: readonly string[], options: { cwd?: string } = {}) =>
  promisify(execFile)("env", ["-u", "NODE_OPTIONS", program, ...args], options);
const { exports: EXPORTS } = JSON.parse(readFileSync("package.json", "utf8"));

/** The package as npm makes it, unpacked where a program finds it; none of its dependencies are there. */
async function consumer(): Promise<string> {
  const dir = mkdtempSync(join(tmpdir(), "railnet-consumer-"));
  t.teardown(() => rmSync(dir, { recursive: true, force: true }));
  mkdirSync(join(dir, "node_modules/railnet"), { recursive: true });
  await run("npm", ["pack", "--silent", "--pack-destination", dir]);
  const [tarball] = globSync(join(dir, "*.tgz"));
  await run("tar", ["-xzf", tarball!, "-C", join(dir, "node_modules/railnet"), "--strip-components=1"]);
  return dir;
}

const dir = await consumer();
const inConsumer = (program: string, ...args: string[]) => run(program, args, { cwd: dir });

/** Node 24 of the tests, and whatever a newcomer has: the oldest that is promised is 20. */
const ENGINES = { "this Node": process.execPath, "node of PATH": hostNode() };

/** The test runner puts its own first. */
function hostNode(): string {
  const own = resolve("node_modules");
  const dirs = (process.env.PATH ?? "").split(":").filter((part) => part && !part.startsWith(own));
  return globSync(dirs.map((part) => join(part, "node")))[0] ?? process.execPath;
}

const readme = readFileSync("README.md", "utf8");
const [, example = "", printed = ""] = /```js\n([\s\S]*?)```\n\nprints\n\n```\n([\s\S]*?)```/.exec(readme) ?? [];

t.test("README.md has an example with what it prints", async (t) => {
  t.match(example, /railnet\/ipam[\s\S]*dispatch/);
  t.ok(example.split("\n").length <= 24, "and it is short");
});

for (const [engine, node] of Object.entries(ENGINES)) {
  t.test(`README.md's example prints what it says under ${engine}`, async (t) => {
    writeFileSync(join(dir, "example.mjs"), example);
    t.equal((await inConsumer(node, "example.mjs")).stdout, printed);
  });

  t.test(`dispatch() answers a call that fails, and whose undo fails, under ${engine}`, async (t) => {
    const program = `import { dispatch } from "railnet/cni-protocol";
      const failure = Object.assign(new Error(), { name: "SuppressedError", suppressed: new Error("first"), error: new Error("undo") });
      const ADD = async () => { throw failure; };
      const env = { CNI_COMMAND: "ADD", CNI_CONTAINERID: "c", CNI_NETNS: "/run/netns/x", CNI_IFNAME: "net1", CNI_PATH: "/" };
      const stdin = JSON.stringify({ cniVersion: "1.1.0", name: "n", type: "x" });
      console.log((await dispatch({ name: "x", about: "x", verbs: { ADD } }, { name: "x", env, stdin })).stdout);`;
    writeFileSync(join(dir, "fails.mjs"), program);
    const { msg, details } = JSON.parse((await inConsumer(node, "fails.mjs")).stdout);
    t.same([msg, details], ["first", "undo failed too: undo"]);
  });

  t.test(`execCommand() runs a plugin under ${engine}`, async (t) => {
    const program = `import { execCommand } from "railnet/cni-protocol";
      const request = { binary: "/bin/cat", env: {}, stdin: "hello", timeoutMs: 5000 };
      console.log((await execCommand(request)).stdout);
      await execCommand({ ...request, binary: "/bin/none" }).catch((error) => console.log(error.code));`;
    writeFileSync(join(dir, "exec.mjs"), program);
    t.equal((await inConsumer(node, "exec.mjs")).stdout, "hello\nENOENT\n");
  });

  t.test(`DirectoryStore keeps addresses beyond a process under ${engine}`, async (t) => {
    const program = `import { Allocator, DirectoryStore, parseRange, rangeOf } from "railnet/ipam";
      const lock = async () => ({ [Symbol.dispose]() {} });
      const cidr = "fd00::/120";
      const source = { range: rangeOf(parseRange(cidr).network), pool: { name: "p", cidr, network: "", overlapping: true } };
      const owner = { podref: "default/" + process.argv[3], ifname: "net1", containerId: process.argv[3] };
      console.log(await new Allocator(new DirectoryStore(process.argv[2], lock)).allocate(source, owner));`;
    writeFileSync(join(dir, "directory.mjs"), program);
    const store = mkdtempSync(join(dir, "store-"));
    const ip = async (pod: string) => (await inConsumer(node, "directory.mjs", store, pod)).stdout.trim();
    t.same([await ip("a"), await ip("b"), await ip("a")], ["fd00::1", "fd00::2", "fd00::1"]);
  });
}

t.test("every export has types that a strict program compiles with", async (t) => {
  const names = Object.keys(EXPORTS).map((name) => name.replace("./", "railnet/"));
  const imports = names.map((name, i) => `import * as m${i} from "${name}"; export const n${i} = m${i};`).join("\n");
  const use = `import { keyOf } from "railnet/whereabouts"; export const key: string = keyOf(1n, 3n);`;
  const misuse = `// @ts-expect-error: an address is a bigint\nkeyOf(1, 3);`;
  writeFileSync(join(dir, "package.json"), '{"type":"module"}');
  writeFileSync(join(dir, "typed.ts"), [imports, use, misuse].join("\n"));
  const options = ["--ignoreConfig", "--noEmit", "--strict", "--module", "nodenext", "--types", ""];
  const tsc = resolve("node_modules/typescript/bin/tsc");
  const { stdout } = await inConsumer(process.execPath, tsc, ...options, "typed.ts").catch((error) => error);
  t.equal(stdout, "");
});

t.test("the package imports nothing but Node's own modules, and Bun's not at all", async (t) => {
  const built = globSync(join(dir, "node_modules/railnet/dist/library/*.js"));
  t.ok(built.length >= Object.keys(EXPORTS).length);
  const specifiers = built.flatMap((file) => [
    ...readFileSync(file, "utf8").matchAll(/(?:from|import\()\s*"([^"]+)"/g),
  ]);
  const foreign = specifiers.map(([, name]) => name!).filter((name) => !name.startsWith("./"));
  const { builtinModules } = await import("node:module");
  t.same(foreign.filter((name) => !builtinModules.includes(name.replace(/^node:/, ""))), []); // biome-ignore format: one line
});
