import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import t from "tap";
import { PATHS } from "../../../cni/host.ts";
import type { EventRecorder } from "../../../kubernetes/events/recorder.ts";
import "../../cni/drivers/support/redirect.ts";
import { KeptLog } from "../support/log.ts";

// After the redirection: locks are Bun's.
const { Addresses } = await import("../../../daemonset/addresses/service/addresses.ts");

/** Nobody listens there. */
const KUBECONFIG = JSON.stringify({
  "current-context": "c",
  contexts: [{ name: "c", context: { cluster: "c", user: "u" } }],
  clusters: [{ name: "c", cluster: { server: "https://127.0.0.1:9" } }],
  users: [{ name: "u", user: {} }],
});

t.test("what the fence asks is opened as soon as it can be, without an ADD", async (t) => {
  const dir = t.testdir();
  const paths = { ...PATHS, stateDir: join(dir, "state"), runDir: join(dir, "run") };
  const kubeconfig = join(dir, "kubeconfig");
  const policy = { node: "node-a", kubeconfig, flatFiles: [] };
  const recorder = { connect() {}, record() {} } as unknown as EventRecorder;
  const log = new KeptLog();
  const addresses = new Addresses({ paths, policy, log, recorder });
  addresses.start();
  t.teardown(() => addresses.stop());
  const { fencing } = addresses;
  await sleep(100);
  t.equal(fencing.cluster(), undefined, "there is no kubeconfig yet");
  writeFileSync(kubeconfig, KUBECONFIG);
  for (let i = 0; i < 1200 && !fencing.cluster(); i++) await sleep(50);
  const before = fencing.heartbeat.silentMs;
  await t.rejects(fencing.cluster()!.report(AbortSignal.timeout(5_000)), "nobody hears it");
  t.ok(fencing.heartbeat.silentMs >= before);
});
