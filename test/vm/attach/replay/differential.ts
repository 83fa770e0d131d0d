import { resolve } from "node:path";
import type { Test } from "tap";
import { HOWS, type Node } from "../support/node.ts";
import { loadRecords } from "./record.ts";
import { replayAll } from "./replay.ts";

/** Another folder of such records may be given: what the real sriov-cni did on VFs `rail<r>v<i>`. */
const GOLD = process.env["RAILNET_GOLD_DIR"] ?? resolve(import.meta.dirname, "../../gold");

/** What the real sriov-cni did, done again by Railnet: the same comes of it, but for the listed gains. */
export async function differentialTests(t: Test, node: Node): Promise<void> {
  const records = loadRecords(GOLD);
  t.ok(records.length > 0, "there are records");
  for (const how of HOWS)
    await t.test(`railnet-sriov (${how}) does what sriov-cni does, but for the listed gains:`, async (t) => {
      if (how === "shim") await node.startAgent();
      else await node.killAgent();
      for (const [i, replayed] of (await replayAll(node, how, records)).entries())
        await t.test(records[i]!.case, async (t) => {
          for (const { what, actual, expected, gains, message } of replayed)
            t.same(
              actual,
              expected,
              [what, ...gains.map((g) => `[${g}]`), ...(message ? [`"${message}"`] : [])].join(" "),
            );
        });
    });
}
