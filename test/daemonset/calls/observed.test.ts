import { setImmediate as turn } from "node:timers/promises";
import t from "tap";
import type { CniRequest, CniResponse } from "../../../cni/protocol/request.ts";
import { observed } from "../../../daemonset/calls/observed.ts";
import { CallCounts } from "../../../daemonset/metrics/call-counts.ts";
import { renderFamilies } from "../../../daemonset/metrics/family.ts";
import { readExposition } from "../support/exposition.ts";

const request = (verb: string): CniRequest => ({ name: "railnet-sriov", env: { CNI_COMMAND: verb }, stdin: "{}" });
const ok: CniResponse = { exit: 0, stdout: "{}", stderr: "" };
const bad: CniResponse = { exit: 1, stdout: '{"code":102,"msg":"in use"}', stderr: "" };

for (const { verb, response, isAborted = false, failed } of [
  { verb: "ADD", response: bad, failed: 1 },
  { verb: "ADD", response: ok, failed: 0 },
  { verb: "DEL", response: bad, failed: 0 },
  { verb: "ADD", response: bad, isAborted: true, failed: 0 },
])
  t.test(`observed() ${verb} that exits ${response.exit}${isAborted ? ", its caller gone" : ""}`, async (t) => {
    const counts = new CallCounts();
    const heard: string[] = [];
    const lines: unknown[] = [];
    const to = { debug: (f: object) => lines.push(f), info: (f: object) => lines.push(f), warn: (f: object) => lines.push(f) };
    const ending = new AbortController();
    if (isAborted) ending.abort();
    const running = () => readExposition(renderFamilies(counts.families())).get("railnet_cni_requests_running");
    const handler = observed(
      async (given, signal) => {
        t.equal(running(), 1, "it is in progress");
        t.same([given, signal], [request(verb), ending.signal]);
        return response;
      },
      { counts, log: { to: to as never, isPart: false }, onFailedAdd: ({ env }) => heard.push(env["CNI_COMMAND"]!) },
    );
    t.equal(await handler(request(verb), ending.signal), response);
    t.same([heard, lines], [[], []], "its caller is answered first");
    await turn();
    t.equal(heard.length, failed);
    t.match(lines, [{ verb, code: response.exit === 0 ? 0 : 102 }]);
    const series = readExposition(renderFamilies(counts.families()));
    const labels = `code="${response.exit === 0 ? 0 : 102}",plugin="railnet-sriov",reason="${response.exit === 0 ? "ok" : "in_use"}",verb="${verb}"`;
    t.equal(series.get(`railnet_cni_requests_total{${labels}}`), 1);
    t.equal(running(), 0);
    const seconds = series.get(`railnet_cni_request_duration_seconds_sum{plugin="railnet-sriov",verb="${verb}"}`)!;
    t.ok(seconds >= 0 && seconds < 5, `${seconds} seconds`);
  }); // biome-ignore format: rows

t.test("observed() without anybody who listens only counts", async (t) => {
  const counts = new CallCounts();
  const handler = observed(async () => bad, { counts });
  t.equal(await handler(request("ADD"), new AbortController().signal), bad);
});
