// The text of a scrape, beside what prom-client makes of the same families.
import { Registry } from "prom-client";
import t from "tap";
import { type Family, renderFamilies } from "../../../daemonset/metrics/family.ts";
import * as fc from "../../../lab/properties.ts";

async function byPromClient(families: readonly Family[]): Promise<string> {
  const registry = new Registry();
  for (const family of families) registry.registerMetric({ name: family.name, get: async () => family } as never);
  return registry.metrics();
}

const text = fc.string({ unit: fc.constantFrom("a", "Z", "0", " ", '"', "\\", "\n", "ü", "{", ",") });
const name = fc.stringMatching(/^[a-z_][a-z0-9_]{0,8}$/);
const value = fc.oneof(fc.double({ noNaN: true }), fc.integer(), fc.constant(1e21), fc.constant(5e-324));
const sample = fc.record(
  { labels: fc.dictionary(name, fc.oneof(text, fc.integer())), value, metricName: name },
  { requiredKeys: ["value"] },
);
const family = fc.record({
  name,
  help: text,
  type: fc.constantFrom("counter", "gauge", "histogram"),
  values: fc.array(sample, { maxLength: 4 }),
});

t.test("renderFamilies() is as prom-client's text, whatever labels and values there are", async (t) => {
  await fc.assert(
    fc.asyncProperty(
      fc.uniqueArray(family, { selector: (one) => one.name, minLength: 1, maxLength: 4 }),
      async (families) => {
        t.equal(renderFamilies(families as readonly Family[]), await byPromClient(families as readonly Family[]));
      },
    ),
    { numRuns: 200 },
  );
});
