// What a failed request says of whether it was done: whoever claims an address by it has to know.
import t from "tap";
import { PODS } from "../../kubernetes/cluster.ts";
import { refusal, unfinished } from "../../kubernetes/failure.ts";

const status = (code: number) => JSON.stringify({ kind: "Status", code, reason: "ServiceUnavailable", message: "no" });

for (const { what, verb = "create", code, body, isUnclear } of [
  {
    what: "a 503 of the API server, which comes before it does anything",
    code: 503,
    body: status(503),
    isUnclear: false,
  },
  { what: "a 503 of a balancer", code: 503, body: "upstream went away", isUnclear: true },
  { what: "a 500 of the API server", code: 500, body: status(500), isUnclear: true },
  { what: "a 504", code: 504, body: status(504), isUnclear: true },
  { what: "a 409", code: 409, body: status(409), isUnclear: false },
  { what: "a 500 to a read", verb: "get", code: 500, body: status(500), isUnclear: false },
] as const)
  t.test(`refusal() says of ${what} that it ${isUnclear ? "may have been" : "was not"} done`, async (t) => {
    const error = refusal({ verb, resource: PODS, name: "p" } as never, code, body);
    t.equal(error.isUnclear, isUnclear);
    t.equal(/may have been done/.test(error.message), isUnclear);
  });

t.test("unfinished() writes may have been done once they were sent", async (t) => {
  for (const wasSent of [true, false])
    t.equal(
      unfinished({ verb: "create", resource: PODS } as never, "https://api", "time is up", wasSent).isUnclear,
      wasSent,
    );
});
