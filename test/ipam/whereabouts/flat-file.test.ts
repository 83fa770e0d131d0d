import t from "tap";
import { kubeconfigOfNode, presentStorage, readNodeName } from "../../../ipam/whereabouts/flat-file.ts";
import { FLAT_FILE } from "./support.ts";

const flat = (content: object) => JSON.stringify({ kubernetes: { kubeconfig: "/flat" }, ...content });

for (const { when, policy = {}, files = {}, want } of [
  { when: "root's settings say none", files: { [FLAT_FILE]: flat({}) }, want: "/flat" },
  { when: "root's settings name one, and the flat file cannot be read", policy: { kubeconfig: "/node" }, files: { [FLAT_FILE]: "{" }, want: "/node" },
  { when: "nothing names one", want: undefined },
]) // biome-ignore format: rows
  t.test(`kubeconfigOfNode() is ${want} when ${when}`, async (t) => {
    const readText = (path: string) => (files as Record<string, string>)[path];
    t.equal(kubeconfigOfNode({ policy, readText }), want);
  });

t.test("readNodeName() is what Whereabouts' installer has written beside the first flat file", async (t) => {
  const files: Record<string, string> = { "/etc/cni/net.d/whereabouts.d/nodename": "node-a.example.com\n" };
  const readText = (path: string) => files[path];
  t.equal(readNodeName({}, readText), "node-a.example.com");
  t.equal(readNodeName({ flatFiles: [] }, readText), undefined);
});

const WHEREABOUTS = "/etc/cni/net.d/whereabouts.d/whereabouts.kubeconfig";
for (const { when, of, policy = { kubeconfig: "/node" }, files = {}, want } of [
  { when: "the file of the record is gone", of: "/gone", want: "/node" },
  { when: "the record is of Whereabouts' own, whose token ends with its pod", of: WHEREABOUTS, files: { [WHEREABOUTS]: "{}" }, want: "/node" },
  { when: "the record names another file that is there", of: "/other", files: { "/other": "{}" }, want: "/other" },
  { when: "the node has only Whereabouts' own", of: WHEREABOUTS, policy: {}, files: { [WHEREABOUTS]: "{}", [FLAT_FILE]: flat({}) }, want: "/flat" },
  { when: "nothing else is known", of: "/gone", policy: {}, want: "/gone" },
]) // biome-ignore format: rows
  t.test(`presentStorage() is ${want} when ${when}`, async (t) => {
    const readText = (path: string) => (files as Record<string, string>)[path];
    t.same(presentStorage({ kind: "kubernetes", kubeconfig: of }, { policy, readText }), {
      kind: "kubernetes",
      kubeconfig: want,
    });
  });
