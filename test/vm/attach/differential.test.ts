import { resolve } from "node:path";
import t from "tap";
import { loadRecords } from "./replay/record.ts";
import { replayAll } from "./replay/replay.ts";
import { HOWS, Node } from "./support/node.ts";

/** Another folder of such records may be given: what the real sriov-cni did on VFs `rail<r>v<i>`. */
const records = loadRecords(process.env["RAILNET_GOLD_DIR"] ?? resolve(import.meta.dirname, "../gold"));
t.ok(records.length > 0, "there are records");

const node = await Node.start({ name: "differential", vfs: 4, iommu: true }, "shipped");
t.teardown(() => node[Symbol.asyncDispose]());

for (const how of HOWS) {
  t.test(`railnet-sriov (${how}) does what sriov-cni does, but for the listed gains:`, async (t) => {
    if (how === "shim") await node.startAgent();
    else await node.killAgent();
    for (const [i, replayed] of (await replayAll(node, how, records)).entries())
      t.test(records[i]!.case, async (t) => {
        for (const { what, actual, expected, gains, message } of replayed)
          t.same(
            actual,
            expected,
            [what, ...gains.map((g) => `[${g}]`), ...(message ? [`"${message}"`] : [])].join(" "),
          );
      });
  });
}
