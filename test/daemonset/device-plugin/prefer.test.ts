import t from "tap";
import { prefer } from "../../../daemonset/device-plugin/prefer.ts";
import * as fc from "../../../lab/properties.ts";

const vf = (id: string, attached = false, numaNode = 0) => ({ id, attached, numaNode });
const VFS = [vf("a"), vf("b", true), vf("c", false, 1), vf("d"), vf("e", true)];

for (const { when, available, must = [], size, want } of [
  { when: "takes the first in the PF's order", available: ["d", "c", "a"], size: 2, want: ["a", "c"] },
  { when: "takes those last that a pod still has", available: ["e", "d", "b", "a"], size: 3, want: ["a", "d", "b"] },
  { when: "begins with what must be in it", available: ["a", "d", "e"], must: ["e"], size: 2, want: ["e", "a"] },
  { when: "stays on the memory node of what must be in it", available: ["a", "c", "d"], must: ["d"], size: 3, want: ["d", "a", "c"] },
  { when: "stays on the other memory node, too", available: ["a", "c"], must: ["c"], size: 2, want: ["c", "a"] },
  { when: "takes what it does not know last", available: ["x", "b"], size: 2, want: ["b", "x"] },
  { when: "gives what there is when more is wanted", available: ["a"], size: 3, want: ["a"] },
  { when: "gives nothing for nothing", available: [], size: 0, want: [] },
]) // biome-ignore format: rows
  t.test(`prefer() ${when}`, async (t) => {
    t.same(prefer({ available_deviceIDs: available, must_include_deviceIDs: must, allocation_size: size }, VFS), want);
  });

t.test("prefer() gives as many as are wanted of what there is, in whatever order it is asked", async () => {
  const some = fc.uniqueArray(fc.constantFrom(...VFS.map(({ id }) => id)));
  fc.assert(
    fc.property(some, fc.nat(6), (available, size) => {
      const ask = (order: string[]) => prefer({ available_deviceIDs: order, allocation_size: size }, VFS);
      const got = ask(available);
      const isSame = ask(available.toReversed()).join() === got.join();
      return isSame && got.length === Math.min(size, available.length) && got.every((id) => available.includes(id));
    }),
  );
});
