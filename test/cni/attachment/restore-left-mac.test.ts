import t from "tap";
import type { Attachment } from "../../../cni/attachment/record.ts";
import { restoreMacs } from "../../../cni/attachment/restore-mac.ts";
import type { Host } from "../../../cni/host.ts";
import { Nic } from "./support/nic.ts";

const WAS = "02:00:00:00:00:0a";
const OTHER = "02:00:00:00:00:0b";
const NONE = "00:00:00:00:00:00";

/** What DEL asks the PF for, of a VF at vfio-pci that showed `was` at ADD and shows `now`. */
async function asked(was: string, now: string, applied: Attachment["applied"] = {}): Promise<string[]> {
  const nic = new Nic();
  nic.vf = { ...nic.vf, mac: now };
  const pf = { name: "pf", pci: "0000:af:00.1", vf: 0 };
  const a = { device: { pci: "0000:af:06.0", pf }, original: { vf: { ...nic.vf, mac: was } }, applied };
  const clock = { nowMs: () => 0, sleep: async () => {} };
  await restoreMacs(a as unknown as Attachment, undefined, {
    rtnl: nic,
    clock,
    paths: { sysfs: "/nowhere" },
  } as unknown as Host);
  return nic.asked;
}

t.test("restoreMacs() gives a VF without a link the MAC again that its application changed", async (t) => {
  t.same(await asked(WAS, OTHER), [`set the MAC of VF 0 to ${WAS}`]);
  t.same(await asked(NONE, OTHER), [`set the MAC of VF 0 to ${NONE}`], "it had none");
});

t.test("restoreMacs() pins no VF whose MAC is as it was, or that its PF has forgotten", async (t) => {
  t.same(await asked(WAS, WAS), []);
  t.same(await asked(WAS, NONE), []);
});
