import t from "tap";
import { mayLead } from "../../../daemonset/addresses/leader/may-lead.ts";
import { ApiError, type Cluster } from "../../../kubernetes/cluster.ts";

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
    const resourceAttributes = { group: "railnet.io", resource: "leaders", verb: "lead", name: "node-a", namespace: "kube-system" }; // biome-ignore format: one line
    t.same(asked, [{ resourceAttributes }]);
  });
