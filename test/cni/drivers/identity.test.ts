// A pod may put another link in the VF's place at any moment, also between our look and our request: nothing that the
// kernel offers looks and changes in one.
import { readdirSync } from "node:fs";
import { join } from "node:path";
import t from "tap";
import { DoubleNode } from "./support/node.ts";
import { PROFILES } from "./support/profiles.ts";

const owed = (node: DoubleNode) => readdirSync(join(node.dir, "state/owed"));
const hostLinks = (node: DoubleNode) => [...node.kernel.host.links.values()].map(({ name }) => name).sort();

for (const times of [1, 2, 9])
  t.test(
    `DEL takes no other link home that a pod puts in the VF's place while it is moved, ${times} times`,
    async (t) => {
      using node = new DoubleNode(PROFILES.igb);
      const [before, links] = [node.picture(), hostLinks(node)];
      const pod = node.pod();
      await node.add(pod, {});
      const { link } = node.vf();
      const inner = node.kernel.addNamespace(join(node.dir, "netns/inner"));
      let left = times;
      node.kernel.onMove = (from) => {
        if (from !== pod.namespace || left-- <= 0) return;
        if (from.links.has(link.index) && from.links.get(link.index) === link) node.kernel.move(link, from, inner);
        const { index, mac, alias } = link;
        node.kernel.addVirtual(from, { index, name: "net1", mac, alias });
      };
      await node.del(pod, {});
      t.same(
        hostLinks(node),
        links.filter((name) => name !== before.name),
        "nothing of the pod's is in the host's namespace",
      );
      t.same(owed(node), [`${link.pci}.json`], "the VF is owed its link");
      await t.rejects(node.add(node.pod(), {}), {
        message: /it is owed link \(cannot put .* back: its link is in no namespace/,
      });
      node.kernel.removeNamespace(inner);
      t.match(await node.reconcile(), [{ reason: "owed" }]);
      t.same(node.picture(), before, "the VF is as it was");
      t.same(owed(node), []);
    },
  );
