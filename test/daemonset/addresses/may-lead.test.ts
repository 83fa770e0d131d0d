import t from "tap";
import { mayLead } from "../../../daemonset/addresses/leader/may-lead.ts";
import { untilMayLead } from "../../../daemonset/addresses/leader/until-may-lead.ts";
import { Refusals } from "../../../daemonset/addresses/refusals.ts";
import { ApiError, type Cluster } from "../../../kubernetes/cluster.ts";
import { until } from "../../../lab/until.ts";

const clusterOf = (answer: () => unknown) => {
  const asked: unknown[] = [];
  const create = async (_: unknown, { spec }: { spec: unknown }) => {
    asked.push(spec);
    return answer();
  };
  return { asked, cluster: { namespace: "kube-system", create } as unknown as Cluster };
};

for (const { what, answer, is } of [
  { what: "the rules say so", answer: () => ({ status: { allowed: true } }), is: true },
  { what: "the rules do not", answer: () => ({ status: { allowed: false } }), is: false },
  {
    what: "the server does not tell",
    answer: () => {
      throw new ApiError("unavailable", { status: 503 });
    },
    is: true,
  },
])
  t.test(`mayLead() is ${is} when ${what}`, async (t) => {
    const { cluster, asked } = clusterOf(answer);
    t.equal(await mayLead(cluster, "node-a"), is);
    const resourceAttributes = {
      group: "railnet.io",
      resource: "leaders",
      verb: "lead",
      name: "node-a",
      namespace: "kube-system",
    };
    t.same(asked, [{ resourceAttributes }]);
  });

const log = { debug() {}, info() {}, warn() {} };
t.test("untilMayLead() shows that nobody leads, where no node may, until somebody does", async (t) => {
  const answer = { allowed: false };
  const { cluster } = clusterOf(() => ({ status: answer }));
  const [refusals, ending, leader] = [new Refusals(), new AbortController(), { silentMs: 0 }];
  t.teardown(() => ending.abort());
  const options = { signal: ending.signal, leaderSilentMs: () => leader.silentMs, durationMs: 15 };
  let isOver = false;
  void untilMayLead({ cluster, node: "node-a", log, refusals } as never, options).then(() => (isOver = true));
  await new Promise((resolve) => setTimeout(resolve, 30));
  t.same(refusals.all(), [], "somebody leads");
  leader.silentMs = 31;
  await until("it is said", () => refusals.all().length > 0);
  t.match(refusals.all(), [/^no agent leads, .*kubectl apply -f manifests\/rbac.yaml$/]);
  leader.silentMs = 0;
  await until("it is not said any more", () => refusals.all().length === 0);
  t.same(refusals.all(), []);
  leader.silentMs = 31;
  answer.allowed = true;
  await until("it may lead", () => isOver);
  t.same([isOver, refusals.all()], [true, []], "now this one does");
});
