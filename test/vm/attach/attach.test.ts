import t from "tap";
import { adoptTests } from "./faults/adopt.ts";
import { chainTests } from "./faults/chain.ts";
import { debtTests } from "./faults/debts.ts";
import { failTests } from "./faults/fail.ts";
import { hostileTests } from "./faults/hostile.ts";
import { randomHostileTests } from "./faults/hostile-random.ts";
import { killTests } from "./faults/kill.ts";
import { linkStateTests } from "./faults/link-state.ts";
import { netnsTests } from "./faults/netns.ts";
import { podTests } from "./faults/pods.ts";
import { rdmaTests } from "./faults/rdma.ts";
import { rebootTests } from "./faults/reboot.ts";
import { tenantTests } from "./faults/tenant.ts";
import { vfioTests } from "./faults/vfio.ts";
import { differentialTests } from "./replay/differential.ts";
import { setTests } from "./set.ts";
import { statusTests } from "./status.ts";
import { Node } from "./support/node.ts";
import { verifyTests } from "./verify.ts";
import { walkTests } from "./walk/random.ts";

/** One machine for all of them: it takes longer to boot than most parts. Each leaves it as it was. */
const node = await Node.start({ name: "attach", vfs: 4, iommu: true });
t.teardown(() => node[Symbol.asyncDispose]());

const PARTS = [
  { name: "railnet status", test: statusTests },
  { name: "random walk", test: walkTests },
  { name: "two pods on four rails", test: podTests },
  { name: "a set of VFs", test: setTests },
  { name: "RDMA", test: rdmaTests },
  { name: "state of the link", test: linkStateTests },
  { name: "railnet verify", test: verifyTests },
  { name: "chained plugins", test: chainTests },
  { name: "hostile pod", test: hostileTests },
  { name: "random hostile pod", test: randomHostileTests },
  { name: "tenant", test: tenantTests },
  { name: "network namespace gone", test: netnsTests },
  { name: "VF at vfio-pci", test: vfioTests },
  { name: "owed", test: debtTests },
  { name: "attachment of sriov-cni", test: adoptTests },
  { name: "a step fails", test: failTests },
  { name: "reboot", test: rebootTests },
  { name: "kill -9", test: killTests },
  { name: "records of sriov-cni", test: differentialTests },
];

/** While one works on some parts: what their names match. */
const chosen = process.env["RAILNET_PARTS"] ?? "";
for (const { name, test } of PARTS) if (new RegExp(chosen).test(name)) await t.test(`${name}:`, (t) => test(t, node));
