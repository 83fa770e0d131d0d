// What a failed request says of whether it was done: whoever claims an address by it has to know.
import t from "tap";
import { PODS, RESERVATIONS } from "../../kubernetes/cluster.ts";
import { isMissing, isWrite, refusal, silence, unfinished } from "../../kubernetes/failure.ts";
import { SendError } from "../../kubernetes/transport.ts";

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

for (const { what, verb, code, wasSent, isUnclear, says } of [
  { what: "a write whose connection broke", verb: "create", code: "ECONNRESET", wasSent: true, isUnclear: true, says: "it broke (ECONNRESET); it may have been done nevertheless" },
  { what: "a write that never went", verb: "create", code: "ECONNREFUSED", wasSent: false, isUnclear: false, says: "it broke (ECONNREFUSED)" },
  { what: "a read whose connection broke", verb: "list", code: "ECONNRESET", wasSent: true, isUnclear: false, says: "it broke (ECONNRESET)" },
  { what: "an error without a code", verb: "list", code: "", wasSent: true, isUnclear: false, says: "it broke" },
  { what: "an error that names its code", verb: "list", code: "broke", wasSent: true, isUnclear: false, says: "it broke" },
  { what: "a certificate that is none", verb: "create", code: "CERT_NOT_YET_VALID", wasSent: false, isUnclear: false, says: "it broke (CERT_NOT_YET_VALID); its certificate is not valid yet, or this node's clock is behind" },
] as const) // biome-ignore format: rows
  t.test(`silence() says of ${what} whether it may have been done`, async (t) => {
    const action = { verb, resource: PODS, name: "p" } as const;
    const error = silence(action, "https://api", new SendError("it broke", { code, wasSent }));
    t.equal(error.message, `cannot ${verb} pods p at https://api: ${says}`);
    t.equal(error.isUnclear, isUnclear);
    t.equal(error.status, 0);
    t.ok(error.cause instanceof SendError);
  });

for (const { status, details, resource, hint } of [
  { status: 401, details: {}, resource: PODS, hint: "; the token or certificate of the kubeconfig is not, or no longer, valid" },
  { status: 403, details: {}, resource: RESERVATIONS, hint: '; allow it as manifests/rbac.yaml does: apiGroups: ["whereabouts.cni.cncf.io"], resources: [overlappingrangeipreservations], verbs: [get]' },
  { status: 404, details: {}, resource: RESERVATIONS, hint: "; overlappingrangeipreservations are not served here: kubectl apply -f manifests/crds" },
  { status: 404, details: {}, resource: PODS, hint: "; pods are not served here" },
  { status: 404, details: { name: "p" }, resource: PODS, hint: "" },
  { status: 409, details: {}, resource: PODS, hint: "" },
]) // biome-ignore format: rows
  t.test(`refusal() of ${status} of ${resource.plural} says "${hint}"`, async (t) => {
    const body = JSON.stringify({ kind: "Status", code: status, reason: "No", message: "no", details });
    const error = refusal({ verb: "get", resource, name: "p" }, 500, body);
    t.equal(error.message, `cannot get ${resource.plural} p: no (No)${hint}`);
    t.match(error, { status, reason: "No" }, "as the Status says, whatever HTTP does");
  });

t.test("refusal() of what is no Status tells its text, cut, else its number", async (t) => {
  const action = { verb: "list", resource: PODS } as const;
  t.match(refusal(action, 502, " <html> "), { message: "cannot list pods: <html> (502)", status: 502, reason: "" });
  t.equal(refusal(action, 502, "").message, "cannot list pods: HTTP status 502 (502)");
  t.equal(refusal(action, 502, "x".repeat(5000)).message.length, "cannot list pods:  (502)".length + 600);
  t.equal(refusal(action, 500, JSON.stringify({ kind: "Other", code: 9 })).status, 500);
});

t.test("isMissing() is of this very object", async (t) => {
  const body = (name?: string) => JSON.stringify({ kind: "Status", details: { name } });
  t.equal(isMissing(404, body("p"), "p"), true);
  for (const [status, text, name] of [[404, body("q"), "p"], [404, body(), "p"], [409, body("p"), "p"], [404, "", "p"]] as const)
    t.equal(isMissing(status, text, name), false);
}); // biome-ignore format: rows

t.test("isWrite() is of every verb that changes something", async (t) => {
  const verbs = ["get", "list", "watch", "create", "patch", "update", "delete"] as const;
  t.same(verbs.filter((verb) => isWrite({ verb, resource: PODS })), ["create", "patch", "update", "delete"]); // biome-ignore format: a row
});
