import { globSync, readFileSync } from "node:fs";
import t from "tap";
import { codeIn, pageOf, rowsBelow } from "./support/markdown.ts";

const rows = rowsBelow(pageOf("docs/operate.md"), "## Supported versions");
const rowOf = (name: string): string[] => rows.find(([first = ""]) => first.split(",")[0] === name) ?? [];
/** By the first word of a row: the Go module that the tests build, and by which lists of modules. */
const MODULES: Readonly<Record<string, readonly [module: string, lists: string]>> = {
  Kubernetes: ["k8s.io/kubernetes", "*"],
  etcd: ["go.etcd.io/etcd/api/v3", "etcd"],
  containerd: ["github.com/containerd/containerd/v2", "containerd"],
  Multus: ["gopkg.in/k8snetworkplumbingwg/multus-cni.v4", "*"],
  Whereabouts: ["github.com/k8snetworkplumbingwg/whereabouts", "*"],
  "rdma-cni": ["github.com/k8snetworkplumbingwg/rdma-cni", "*"],
};

for (const [name, [module, lists]] of Object.entries(MODULES))
  t.test(`operate.md names every version of ${name} that tests build`, async (t) => {
    const line = new RegExp(`^\\s*(?:require )?${module.replaceAll(".", "\\.")} v(\\S+)`, "gm");
    const texts = globSync(`lab/peers/${lists}/go.mod`).map((file) => readFileSync(file, "utf8"));
    const built = new Set(texts.flatMap((text) => [...text.matchAll(line)].map(([, version]) => version!)));
    t.ok(built.size > 0, "the lists of modules name it");
    const named =
      rowOf(name)[2]
        ?.split(/[^\d.]+/)
        .filter((word) => /^\d+\.\d/.test(word)) ?? [];
    for (const version of built)
      t.ok(
        named.some((one) => `${version}.`.startsWith(`${one.replace(/\.$/, "")}.`)),
        `${version}: ${rowOf(name)[2]}`,
      );
  });

t.test("every supported version has the test that shows it", async (t) => {
  t.ok(rows.length >= 10);
  for (const [what = "", , , by = ""] of rows) t.ok(codeIn(by).length > 0, what); // that these are there: links.test.ts
});

t.test("Node.js of the library is what package.json asks for", async (t) => {
  const { engines } = JSON.parse(readFileSync("package.json", "utf8"));
  t.equal(rowOf("Node.js")[1], `${engines.node.replace(">=", "")} or newer`);
});
