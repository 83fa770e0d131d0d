// The tests run under Node, the product under Bun: both must answer alike.
import { spawnSync } from "node:child_process";
import t from "tap";
import type { CniRequest } from "../../../cni/protocol/request.ts";
import * as fc from "../../../lab/properties.ts";
import { answers } from "./support/answer.ts";
import { request } from "./support/arbitrary.ts";
import { BASE } from "./support/plugin.ts";

const DRIVER = new URL("support/answer-in-bun.ts", import.meta.url).pathname;

function answersInBun(requests: readonly CniRequest[]): unknown[] {
  const { stdout, stderr } = spawnSync("node_modules/.bin/bun", [DRIVER], {
    input: JSON.stringify(requests),
    maxBuffer: 64 << 20,
  });
  t.equal(stderr.toString(), "");
  return JSON.parse(stdout.toString());
}

const DEEP = 100_000;
const EXTREMES = [
  "[".repeat(DEEP),
  '{"a":'.repeat(DEEP),
  `{"name":"n","a":${"[".repeat(DEEP)}${"]".repeat(DEEP)}}`,
  `{"name":"${"n".repeat(1 << 20)}"}`,
  `{"name":"n","a":"${"\\u00e4".repeat(1 << 18)}"x}`,
].map((stdin): CniRequest => ({ name: "x", env: { ...BASE, CNI_COMMAND: "DEL" }, stdin }));

t.test("dispatch() answers the same in Node and in Bun, to the letter", async (t) => {
  const requests = [...fc.sample(request, 3_000), ...EXTREMES];
  const [inNode, inBun] = [await answers(requests), answersInBun(requests)];
  t.equal(inBun.length, requests.length);
  for (const [i, answer] of inNode.entries())
    if (JSON.stringify(answer) !== JSON.stringify(inBun[i]))
      t.same(inBun[i], answer, JSON.stringify(requests[i]).slice(0, 500));
});
