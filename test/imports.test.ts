import { globSync, readFileSync } from "node:fs";
import { dirname, join, normalize } from "node:path";
import t from "tap";

/** Parts of the product, the innermost first, and what each may import besides itself. */
const MAY_IMPORT = {
  kernel: [],
  records: ["kernel"],
  kubernetes: [],
  "cni/protocol": [],
  cni: ["kernel", "records", "cni/protocol"],
  ipam: ["kernel", "records", "kubernetes", "cni/protocol", "cni"],
  daemonset: ["kernel", "records", "kubernetes", "cni/protocol", "cni", "ipam"],
  cli: ["kernel", "records", "kubernetes", "cni/protocol", "cni", "ipam", "daemonset"],
  library: ["cni/protocol", "ipam", "kubernetes"],
  "stand-alone": ["cni/protocol", "cni", "ipam"],
  main: ["stand-alone", "cli"],
} as const satisfies Record<string, readonly string[]>;
type Zone = keyof typeof MAY_IMPORT;
const ZONES = Object.keys(MAY_IMPORT) as Zone[];

/** The edges of the process: who may look at its environment, standard input and output. */
const EDGES = [
  "main.ts",
  "stand-alone.ts",
  "ipam/stand-alone.ts",
  "cni/protocol/edges.ts",
  "daemonset/kernel-worker.ts",
  "kubernetes/environment.ts",
  "daemonset/log.ts",
  /^cli\//,
];

interface Source {
  readonly path: string;
  readonly text: string;
  /** As written: "./x.ts", "node:fs". */
  readonly imports: readonly string[];
}

const sources: Source[] = globSync([
  "main.ts",
  "stand-alone.ts",
  "{kernel,records,kubernetes,cni,ipam,daemonset,cli,library}/**/*.ts",
])
  .sort()
  .map((path) => {
    const text = withoutComments(readFileSync(path, "utf8"));
    return { path, text, imports: importsOf(text) };
  });

/** Line comments only where they are whole lines or follow a space: "http://" is none. */
function withoutComments(text: string): string {
  return text.replace(/\/\*[\s\S]*?\*\//g, "").replace(/(^|\s)\/\/.*$/gm, "$1");
}

/** Static, type-only and dynamic imports, re-exports, and entry points of workers. */
function importsOf(text: string): string[] {
  const forms = [
    /\bfrom\s*["']([^"']+)["']/g,
    /\bimport\s*\(?\s*["']([^"']+)["']/g,
    /\brequire\s*\(\s*["']([^"']+)["']/g,
    /\bnew URL\(\s*["']([^"']+\.ts)["']/g,
  ];
  return forms.flatMap((form) => [...text.matchAll(form)].map(([, specifier]) => specifier!));
}

const targetOf = ({ path }: Source, specifier: string): string => normalize(join(dirname(path), specifier));
const isOurs = (specifier: string): boolean => specifier.startsWith(".") || specifier.startsWith("/");
const ours = (source: Source): string[] => source.imports.filter(isOurs).map((s) => targetOf(source, s));

/** The innermost zone that a file is in; undefined for test/, bench/, scripts/. */
function zoneOf(path: string): Zone | undefined {
  return ZONES.find((zone) => path === `${zone}.ts` || path.startsWith(`${zone}/`));
}

const among = (path: string, allowed: readonly (string | RegExp)[]): boolean =>
  allowed.some((one) => (typeof one === "string" ? one === path : one.test(path)));

const filesWith = (what: RegExp): string[] => sources.filter(({ text }) => what.test(text)).map(({ path }) => path);

t.test("importsOf() sees every form of import", async (t) => {
  const text = `import a from "./a.ts"; import type { B } from './b.ts'; import "./c.ts"; export * from "./d.ts";
    const e = await import("./e.ts"); new Worker(new URL("./f.ts", import.meta.url)); // import("./no.ts")
    import {\n  G,\n} from "./g.ts"; /* from "./no.ts" */`;
  t.same(
    importsOf(withoutComments(text)).sort(),
    ["a", "b", "c", "d", "e", "f", "g"].map((name) => `./${name}.ts`),
  );
});

t.test("the product's files are all found", async (t) => {
  for (const zone of ZONES)
    t.ok(
      sources.some(({ path }) => zoneOf(path) === zone),
      `${zone} has files`,
    );
});

for (const zone of ZONES) {
  const allowed: readonly string[] = [zone, ...MAY_IMPORT[zone]];
  t.test(`${zone} imports of ours only ${allowed.join(", ")}`, async (t) => {
    const offenders = sources
      .filter(({ path }) => zoneOf(path) === zone)
      .flatMap((source) => ours(source).map((target) => ({ from: source.path, target })))
      .filter(({ target }) => !allowed.includes(zoneOf(target) ?? "outside of the product"));
    t.same(offenders, []);
  });
}

const REEXPORT = /\bexport\s+(type\s+)?(\*|\{[^}]*\})(\s+as\s+\w+)?\s*from\b/;

t.test("only the library's files re-export, and each thing by its name", async (t) => {
  const barrels = filesWith(REEXPORT).filter((path) => zoneOf(path) !== "library");
  t.same(barrels, ["ipam/range.ts"], "Span is a word of ranges, too");
  const stars = filesWith(/\bexport\s+(type\s+)?\*/);
  t.same(stars, []);
  for (const { path, text } of sources.filter((s) => zoneOf(s.path) === "library"))
    t.equal(
      text.replace(new RegExp(`${REEXPORT.source}\\s*"[^"]+";`, "g"), "").trim(),
      "",
      `${path} does nothing else`,
    );
});

t.test("each export of package.json is a file of the library, and the other way round", async (t) => {
  const { exports } = JSON.parse(readFileSync("package.json", "utf8"));
  const names = Object.keys(exports).map((name) => name.replace("./", "library/"));
  t.same(
    names.map((name) => `${name}.ts`).sort(),
    sources.map(({ path }) => path).filter((p) => zoneOf(p) === "library"),
  );
});

t.test("bun:ffi is imported by kernel/syscall.ts alone", async (t) => {
  const users = sources.filter(({ imports }) => imports.includes("bun:ffi")).map(({ path }) => path);
  t.same(users, ["kernel/syscall.ts"]);
});

t.test("the agent's main thread, which answers probes, never waits for netlink", async (t) => {
  const users = filesWith(/\bnew NetlinkSocket\b|\bopenRtnl\b/).filter((path) => zoneOf(path) === "daemonset");
  t.same(users, ["daemonset/rails/orders.ts", "daemonset/routes/worker.ts"], "threads of their own");
  const callers = sources.filter(
    ({ path, text }) => zoneOf(path) === "daemonset" && /\bcarryOut\(order, host\)/.test(text),
  );
  t.same(
    callers.map(({ path }) => path),
    ["daemonset/kernel-worker.ts"],
  );
});

t.test("the environment, stdin and stdout of the process are used at its edges alone", async (t) => {
  const users = filesWith(/\bprocess\s*\.\s*(env|stdin|stdout)\b|\bBun\s*\.\s*(env|stdin|stdout)\b|\bconsole\.log\b/);
  t.same(
    users.filter((path) => !among(path, EDGES)),
    [],
  );
});

t.test("a CNI call loads the protocol alone before its verb is known", async (t) => {
  const loaded = loadedBy(["main.ts", "stand-alone.ts"]);
  const mayLoad = ["main.ts", "stand-alone.ts", "cni/plugin.ts", "cni/attach-names.ts", /^cni\/protocol\//, /^node:/];
  t.same(
    loaded.filter((path) => !among(path, mayLoad)),
    [],
  );
  t.ok(loaded.includes("cni/protocol/dispatch.ts"), "and it does load that");
});

t.test("no file imports itself, by whatever way round", async (t) => {
  const graph = new Map(sources.map((source) => [source.path, ours(source)]));
  t.same(findCycle(graph), undefined);
  t.same(findCycle(new Map([["a", ["b"]], ["b", ["c"]], ["c", ["b"]]])), ["b", "c", "b"], "and a circle is seen"); // biome-ignore format: one row
});

t.test("imports name an existing file, with its extension", async (t) => {
  const known = new Set(sources.map(({ path }) => path));
  const broken = sources.flatMap((s) =>
    ours(s)
      .filter((x) => !known.has(x))
      .map((x) => `${s.path}: ${x}`),
  );
  t.same(broken, []);
});

/** Everything that loading these files loads: neither types nor what is imported later, by import(). */
function loadedBy(entries: readonly string[]): string[] {
  const loaded = new Set(entries);
  for (const path of loaded) {
    const source = sources.find((one) => one.path === path);
    const eager = source?.text.replace(/\b(import|export)\s+type\s[^;]*;/g, "").replace(/\bimport\s*\([^)]*\)/g, "");
    for (const specifier of importsOf(eager ?? ""))
      loaded.add(isOurs(specifier) ? targetOf(source!, specifier) : specifier);
  }
  return [...loaded];
}

/** A path that ends where it begins, by depth-first search. */
function findCycle(graph: ReadonlyMap<string, readonly string[]>): string[] | undefined {
  const done = new Set<string>();
  const visit = (node: string, path: readonly string[]): string[] | undefined => {
    if (path.includes(node)) return [...path.slice(path.indexOf(node)), node];
    if (done.has(node)) return undefined;
    for (const next of graph.get(node) ?? []) {
      const cycle = visit(next, [...path, node]);
      if (cycle) return cycle;
    }
    done.add(node);
    return undefined;
  };
  return [...graph.keys()].map((node) => visit(node, [])).find((cycle) => cycle !== undefined);
}
