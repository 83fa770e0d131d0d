import { globSync, readFileSync } from "node:fs";
import t from "tap";
import { codeIn, pageOf, rowsBelow } from "./support/markdown.ts";

const rows = rowsBelow(pageOf("docs/operate.md"), "## Supported versions");
const rowOf = (name: string): string[] => rows.find(([first = ""]) => first.split(",")[0] === name) ?? [];
const lists = globSync("lab/peers/*/go.mod").map((file) => readFileSync(file, "utf8"));

/** By the first word of a row: the Go module that the tests build, and how much of its version a row says. */
const MODULES: Readonly<Record<string, { module: string; says: RegExp }>> = {
  Kubernetes: { module: "k8s.io/kubernetes", says: /^[\d.]+$/ },
  etcd: { module: "go.etcd.io/etcd/api/v3", says: /^\d+\.\d+/ },
  containerd: { module: "github.com/containerd/containerd/v2", says: /^[\d.]+$/ },
  Multus: { module: "gopkg.in/k8snetworkplumbingwg/multus-cni.v4", says: /^[\d.]+$/ },
  Whereabouts: { module: "github.com/k8snetworkplumbingwg/whereabouts", says: /^[\d.]+$/ },
  "rdma-cni": { module: "github.com/k8snetworkplumbingwg/rdma-cni", says: /^[\d.]+$/ },
};

for (const [name, { module, says }] of Object.entries(MODULES))
  t.test(`operate.md names every version of ${name} that tests build`, async (t) => {
    const line = new RegExp(`^\\s*(?:require )?${module.replaceAll(".", "\\.")} v(\\S+)`, "gm");
    const built = lists.flatMap((list) => [...list.matchAll(line)].map(([, version]) => version!));
    if (name !== "containerd") t.ok(built.length > 0, "the lists of modules name it");
    for (const version of new Set(built)) {
      const said = says.exec(version)?.[0] ?? version;
      t.ok(
        rowOf(name)[2]
          ?.split(/[^\d.]+/)
          .includes(said),
        `${said}: ${rowOf(name)[2]}`,
      );
    }
  });

t.test("every supported version has the test that shows it", async (t) => {
  t.ok(rows.length >= 10);
  for (const [what = "", , , by = ""] of rows) t.ok(codeIn(by).length > 0, what); // that these are there: links.test.ts
});

t.test("Node.js of the library is what package.json asks for", async (t) => {
  const { engines } = JSON.parse(readFileSync("package.json", "utf8"));
  t.equal(rowOf("Node.js")[1], `${engines.node.replace(">=", "")} or newer`);
});
