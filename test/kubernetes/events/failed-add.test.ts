import t from "tap";
import { failedAdd } from "../../../daemonset/calls/failed-add.ts";

const request = (args: string, stdin = '{"name":"rail0-net"}') => ({
  name: "railnet-sriov",
  env: { CNI_COMMAND: "ADD", CNI_IFNAME: "net1", CNI_ARGS: args },
  stdin,
});
const POD = "IgnoreUnknown=1;K8S_POD_NAMESPACE=ns;K8S_POD_NAME=trainer-0;K8S_POD_UID=u-1";
const response = (answer: object) => ({ exit: 1, stdout: JSON.stringify(answer), stderr: "" });

t.test("failedAdd() says interface, network, why and what to do, in one line", async (t) => {
  const event = failedAdd(request(POD), response({ code: 102, msg: "cannot attach 0000:18:00.1: it is in use" }));
  t.match(event, {
    about: { namespace: "ns", name: "trainer-0", uid: "u-1", resource: { kind: "Pod" } },
    type: "Warning",
    reason: "FailedRailAttach",
    sameness: "net1 102",
  });
  t.equal(
    event?.message,
    "net1 (rail0-net): cannot attach 0000:18:00.1: it is in use. " +
      "What to do: delete the pod that has it, or look for a second device plugin",
  );
});

t.test("failedAdd() is silent where there is no pod, and survives whatever a plugin answers", async (t) => {
  t.equal(failedAdd(request(""), response({ code: 7, msg: "x" })), undefined);
  t.equal(failedAdd(request("K8S_POD_NAME=a"), response({ code: 7, msg: "x" })), undefined);
  for (const stdout of ["", "no JSON", "null", "[]", '{"code":"x"}', '{"msg":5}'])
    t.match(
      failedAdd(request(POD, "no JSON"), { exit: 1, stdout, stderr: "" }),
      { reason: "FailedRailAttach" },
      stdout,
    );
});
