// Root's own settings of a node, /etc/railnet/node.json.
import { writeFileSync } from "node:fs";
import t from "tap";
import { PATHS } from "../../cni/host.ts";
import { readNodePolicy } from "../../ipam/node-policy.ts";

const nodeConfig = `${t.testdir({})}/node.json`;
const read = (json: string) => {
  writeFileSync(nodeConfig, json);
  return readNodePolicy({ ...PATHS, nodeConfig }, {});
};

t.test("node.json is read as it stands, keys of other versions left out", async (t) => {
  const policy = {
    node: "a",
    trustNetworkConfig: true,
    aliases: ["whereabouts"],
    kubeconfig: "/k",
    directory: "/d",
    flatFiles: [],
  };
  t.same(read(JSON.stringify({ ...policy, later: 1 })), policy);
});

for (const [json, says] of [
  ['{"node": 7}', "cannot decode node: want a string, got 7; "],
  ['{"trustNetworkConfig": "no"}', 'cannot decode trustNetworkConfig: want true or false, got "no"; '],
  ['{"aliases": "whereabouts"}', 'cannot decode aliases: want a list, got "whereabouts"; '],
  ['{"flatFiles": [1]}', "cannot decode flatFiles[0]: want a string, got 1; "],
  ["[]", "cannot decode it: want an object, got a list; "],
  ["{", ""],
] as const)
  t.test(`node.json ${json} is refused by name`, async (t) => {
    t.throws(() => read(json), {
      code: 7,
      message: `cannot use ${nodeConfig}: ${says}want a JSON object such as {"node": "node-a"}`,
    });
  });
