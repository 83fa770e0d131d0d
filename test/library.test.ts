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

const readme = readFileSync("docs/library.md", "utf8");
const [, example = "", printed = ""] = /```ts\n([\s\S]*?)```\n\nprints\n\n```\n([\s\S]*?)```/.exec(readme) ?? [];

t.test("docs/library.md has an example with what it prints", async (t) => {
  t.match(example, /railnet\/ipam[\s\S]*dispatch/);
  t.match(example, /DEL/);
  t.ok(example.split("\n").length <= 36, "and it is short");
});

/** Compiles a strict program, without Node's types. @returns what the compiler says. */
async function compile(name: string, text: string, ...more: string[]): Promise<string> {
  writeFileSync(join(dir, "package.json"), '{"type":"module"}');
  writeFileSync(join(dir, `${name}.ts`), text);
  const options = ["--ignoreConfig", "--strict", "--module", "nodenext", "--target", "es2022", "--types", "", ...more];
  const tsc = resolve("node_modules/typescript/bin/tsc");
  return (await inConsumer(process.execPath, tsc, ...options, `${name}.ts`).catch((error) => error)).stdout;
}

t.test("docs/library.md's example compiles as it stands, strictly", async (t) => {
  t.equal(await compile("example", example), "");
  t.equal(
    await compile(
      "indexed",
      example,
      "--noUncheckedIndexedAccess",
      "--noPropertyAccessFromIndexSignature",
      "--exactOptionalPropertyTypes",
    ),
    "",
  );
});

for (const [engine, node] of Object.entries(ENGINES)) {
  t.test(`docs/library.md's example prints what it says under ${engine}`, async (t) => {
    t.equal((await inConsumer(node, "example.js")).stdout, printed);
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
    const program = `import { Allocator, DirectoryStore, rangeFrom } from "railnet/ipam";
      const cidr = "fd00::/120";
      const source = { range: rangeFrom(cidr), pool: { name: "p", cidr, network: "", overlapping: true } };
      const owner = { podref: "default/" + process.argv[3], ifname: "net1", containerId: process.argv[3] };
      console.log(await new Allocator(new DirectoryStore(process.argv[2])).allocate(source, owner));`;
    writeFileSync(join(dir, "directory.mjs"), program);
    const store = mkdtempSync(join(dir, "store-"));
    const ip = async (pod: string) => (await inConsumer(node, "directory.mjs", store, pod)).stdout.trim();
    t.same([await ip("a"), await ip("b"), await ip("a")], ["fd00::1", "fd00::2", "fd00::1"]);
    const many = await Promise.all(["c", "d", "e", "f", "g", "h"].map(ip));
    t.equal(new Set(many).size, 6, "processes beside each other get one each");
  });

  t.test(`openKubernetesStore() says what it lacks under ${engine}`, async (t) => {
    const program = `import { openKubernetesStore } from "railnet/kubernetes";
      import { StoreError } from "railnet/ipam";
      await openKubernetesStore({ kubeconfig: "/nonexistent" }).catch((error) => console.log(error.name, error.kind, error.message));`;
    writeFileSync(join(dir, "kubernetes.mjs"), program);
    t.match(
      (await inConsumer(node, "kubernetes.mjs")).stdout,
      /^StoreError unavailable cannot reach the API server: .*\/nonexistent/,
    );
  });
}

t.test("every export has types that a strict program compiles with", async (t) => {
  const names = Object.keys(EXPORTS).map((name) => name.replace("./", "railnet/"));
  const imports = names.map((name, i) => `import * as m${i} from "${name}"; export const n${i} = m${i};`).join("\n");
  const use = `import { keyOf } from "railnet/whereabouts"; export const key: string = keyOf(1n, 3n);`;
  const misuse = `// @ts-expect-error: an address is a bigint\nkeyOf(1, 3);`;
  const types = `import { type Holder, type Sandbox, type SlicedRange, toCniFailure } from "railnet/ipam"; export type All = [Holder, Sandbox, SlicedRange]; toCniFailure(1);`;
  const needsHost = `import { dispatch, type Plugin } from "railnet/cni-protocol"; declare const p: Plugin<{ x: 1 }>;
    // @ts-expect-error: this plugin wants its host\ndispatch(p, { name: "", env: {}, stdin: "" });`;
  t.equal(await compile("typed", [imports, use, misuse, types, needsHost].join("\n"), "--noEmit"), "");
});

t.test("npm install of the packed library brings no other package", async (t) => {
  const place = mkdtempSync(join(dir, "install-"));
  writeFileSync(join(place, "package.json"), '{"name":"consumer","version":"1.0.0"}');
  const [tarball] = globSync(join(dir, "*.tgz"));
  const { stdout } = await run("npm", ["install", "--offline", "--no-audit", "--no-fund", tarball!], { cwd: place });
  t.match(stdout, /added 1 package/);
  t.same(globSync("node_modules/{*,@*/*}/package.json", { cwd: place }), ["node_modules/railnet/package.json"]);
});

t.test("the package imports nothing but Node's own modules, and Bun's not at all", async (t) => {
  const built = globSync(join(dir, "node_modules/railnet/dist/library/*.js"));
  t.ok(built.length >= Object.keys(EXPORTS).length);
  const specifiers = built.flatMap((file) => [
    ...readFileSync(file, "utf8").matchAll(/(?:from|import\()\s*"([^"]+)"/g),
  ]);
  const foreign = specifiers.map(([, name]) => name!).filter((name) => !name.startsWith("./"));
  const { builtinModules } = await import("node:module");
  const others = new Set(foreign.filter((name) => !builtinModules.includes(name.replace(/^node:/, ""))));
  t.same([...others], ["@kubernetes/client-node"], "only for the OIDC auth provider of a kubeconfig, and optional");
});
