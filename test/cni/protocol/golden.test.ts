import { readFileSync } from "node:fs";
import t from "tap";
import { dispatch, type Plugin } from "../../../cni/protocol/dispatch.ts";
import type { Call } from "../../../cni/protocol/request.ts";
import type { Result } from "../../../cni/protocol/result.ts";
import type { Golden } from "./golden/record.ts";

/** The records of the reference library that golden/record.ts made. */
const GOLDEN = readFileSync(new URL("golden/skel-1.3.0.jsonl", import.meta.url), "utf8")
  .trim()
  .split("\n")
  .map((line): Golden => JSON.parse(line));

const ACCEPTED = 0;

/** Where we answer otherwise, on purpose: with which code, and why. */
const OTHERWISE: readonly { rows: RegExp; code: number; why: string }[] = [
  { rows: /^case 34: .* that is a/, code: 6, why: "a value of the wrong kind is undecodable, not an internal error" },
  { rows: /^case 42: .*older version/, code: ACCEPTED, why: "SPEC.md: the answer repeats the version of the input" },
  {
    rows: /^case 54: prevResult (of another|that is a|whose|with a (number|string|fraction))/,
    code: 6,
    why: "undecodable",
  },
  { rows: /^case 54: prevResult with address ""/, code: 6, why: "an empty string is a missing address" },
  {
    rows: /^case 54: prevResult with (address "(10|f[de]|::)|a leading|a route)/,
    code: 7,
    why: "no usable address: case 41",
  },
  { rows: /^case (69|71): .*BAR=1/, code: ACCEPTED, why: "SPEC.md is silent on unknown CNI_ARGS" },
  { rows: /^case 71: .*=(yes)?"/, code: 4, why: "CNI_ARGS is environment" },
  { rows: /^case 72/, code: ACCEPTED, why: "a value may hold =, as for Multus" },
  { rows: /^case 73: .*;"/, code: ACCEPTED, why: "empty parts mean nothing" },
  { rows: /^case 73: .*IgnoreUnknown/, code: ACCEPTED, why: "IgnoreUnknown covers what is no pair too" },
  { rows: /^case 73: CNI_ARGS "(FOO|=1)"/, code: 4, why: "CNI_ARGS is environment" },
];

const LINK = {
  name: "net1",
  mac: "02:00:00:00:00:01",
  mtu: 9000,
  sandbox: "/run/netns/none",
  pciID: "0000:08:00.2",
};

const reference = ({ result }: Golden): Plugin<undefined> => {
  const nothing = async (): Promise<void> => {};
  const only: Result = { interfaces: [LINK], ips: [], routes: [], dns: {} };
  const ADD = async (call: Call): Promise<Result> => call.prevResult ?? result ?? only;
  return {
    name: "ref",
    about: "CNI plugin ref v0",
    verbs: { ADD, CHECK: nothing, DEL: nothing, GC: nothing, STATUS: nothing },
  };
};

/** What counts of an answer: messages are for people, and always differ. */
const verdict = (answer: Golden["answer"]): unknown => (answer && "code" in answer ? { code: answer.code } : answer);

for (const row of GOLDEN) {
  const otherwise = OTHERWISE.find(({ rows }) => rows.test(row.name));
  t.test(`dispatch() ${row.name}: ${otherwise ? otherwise.why : "as the reference library"}`, async (t) => {
    const { exit, stdout } = await dispatch(reference(row), { name: "ref", env: row.env, stdin: row.stdin }, undefined);
    const ours = verdict(stdout ? JSON.parse(stdout) : null);
    if (!otherwise) return t.same({ exit, answer: ours }, { exit: row.exit, answer: verdict(row.answer) });
    t.notSame(ours, verdict(row.answer));
    if (otherwise.code === ACCEPTED) t.equal(exit, 0);
    else t.same({ exit, answer: ours }, { exit: 1, answer: { code: otherwise.code } });
  });
}

t.test("OTHERWISE has no entry without rows", async (t) => {
  t.same(
    OTHERWISE.filter(({ rows }) => !GOLDEN.some(({ name }) => rows.test(name))),
    [],
  );
});
