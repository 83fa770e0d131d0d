import { readFileSync } from "node:fs";
import type { Test } from "tap";
import type { Answer } from "../../../../lab/cluster/cluster-node.ts";
import type { Json } from "../../../../lab/cluster/raw.ts";
import { type Cluster, canonical, EVERYONE, type Outcome } from "./cluster.ts";
import type { Objects, Scenario, Step } from "./scenario.ts";

const README = readFileSync(new URL("../../../../ipam/whereabouts/README.md", import.meta.url), "utf8");

/**
 * Runs a scenario with the executable alone, with the agent and with Whereabouts itself. Ours must do what the row says;
 * so must Whereabouts, unless the row names the fix that makes the difference, which must then be seen.
 */
export async function check(t: Test, cluster: Cluster, scenario: Scenario): Promise<void> {
  const whose = EVERYONE.filter((who) => who !== "whereabouts" || !scenario.notTheirs);
  const ends = await Promise.allSettled(whose.map((who) => cluster.run(scenario, who)));
  const outcomes = ends.map((end) => {
    if (end.status === "rejected") throw end.reason;
    return end.value;
  });
  const [alone, agent, theirs] = outcomes as [Outcome, Outcome, Outcome | undefined];
  const { steps, after = {}, afterAgent = after, fix } = scenario;
  t.strictSame(shown(alone.answers, steps), wanted(steps), "the executable alone: answers");
  t.strictSame(sorted(alone.after), whole(after), "the executable alone: objects");
  t.strictSame(shown(agent.answers, steps), wanted(steps), "the agent: answers");
  t.strictSame(sorted(agent.after), whole(afterAgent), "the agent: objects");
  for (const { holders, after } of [alone, agent]) checkContainers(t, holders, after, scenario);
  if (theirs) checkTheirs(t, theirs, scenario);
  if (fix) t.ok(README.includes(`\n| ${fix}`), `README has the fix "${fix}"`);
}

function checkTheirs(t: Test, theirs: Outcome, { steps, after = {}, fix, theirs: other = {} }: Scenario): void {
  const want = steps.map((step, i) =>
    other.answers && i in other.answers ? { ...step, want: other.answers[i] } : step,
  );
  t.strictSame(shown(theirs.answers, want), wanted(want), "Whereabouts: answers");
  t.strictSame(sorted(theirs.after), whole(other.after ?? after), "Whereabouts: objects");
  const differs = other.answers !== undefined || other.after !== undefined;
  t.equal(differs, fix !== undefined, "a difference has its fix, and a fix its difference");
}

/** Our reservations name the sandbox, the one that the record has. */
function checkContainers(t: Test, holders: Outcome["holders"], { pools }: Objects, { seed }: Scenario): void {
  const records = Object.values(pools).flatMap(([, records]) => Object.values(records));
  const seeded = new Set(Object.entries(seed?.reservations ?? {}).map(([name, text]) => `${name} ${text}`));
  for (const [name, text] of Object.entries(holders)) {
    const [podref, ifname, containerId] = text.split(" ");
    if (!containerId && seeded.has(`${name} ${podref} ${ifname}`)) continue;
    t.ok(records.includes(`${containerId} ${podref} ${ifname}`), `${name} names the sandbox of a record: ${text}`);
  }
}

/** What the rows say of an answer. */
const shown = (answers: readonly Answer[], steps: readonly Step[]): Json[] =>
  answers.map((answer, i) => show(answer, steps[i]!));

function show({ exit, json }: Answer, { want, verb }: Step): Json {
  if (exit !== 0 && want instanceof Error && want.message.endsWith("…"))
    return { error: `${json.msg.slice(0, want.message.length - 1)}…` };
  if (exit !== 0) return { error: json?.msg };
  if (verb === "DEL") return undefined;
  return Array.isArray(want) ? json.ips.map(({ address }: Json) => address) : JSON.parse(canonical(json));
}

const wanted = (steps: readonly Step[]): Json[] =>
  steps.map(({ want }) => (want instanceof Error ? { error: want.message } : want && JSON.parse(canonical(want))));

const whole = (objects: Partial<Objects>): Objects => sorted({ pools: {}, reservations: {}, ...objects });
const sorted = (objects: Objects): Objects => JSON.parse(canonical(objects));
