import t from "tap";
import { AddressSet } from "../../ipam/address-set.ts";
import * as fc from "../../lab/properties.ts";

const address = fc.bigInt({ min: 0n, max: 40n });
const change = fc.tuple(fc.constantFrom("add" as const, "add" as const, "delete" as const), address);

t.test("AddressSet holds what a Set holds, and its runs are the longest", async () => {
  fc.assert(
    fc.property(fc.array(address), fc.array(change, { maxLength: 80 }), (before, changes) => {
      const [ours, model] = [new AddressSet(before), new Set(before)];
      for (const [what, value] of changes) {
        ours[what](value);
        model[what](value);
      }
      return Array.from({ length: 41 }, (_, i) => BigInt(i)).every((value) => {
        const run = ours.run(value);
        if (ours.has(value) !== model.has(value)) return false;
        if (!run) return true;
        const within = Array.from({ length: Number(run.last - run.first) + 1 }, (_, i) => run.first + BigInt(i));
        return within.every((one) => model.has(one)) && !model.has(run.first - 1n) && !model.has(run.last + 1n);
      });
    }),
  );
});
