import { execFile, execFileSync } from "node:child_process";
import { createHash } from "node:crypto";
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync } from "node:fs";
import { createServer } from "node:https";
import type { AddressInfo, Socket } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import t from "tap";
import { ApiServer } from "../../../lab/cluster/api-server.ts";
import { makeNode } from "../../../lab/cluster/objects.ts";
import type { Json } from "../../../lab/cluster/raw.ts";
import { start } from "../../../lab/netns/run.ts";

const RAILNET = new URL("../../../dist/test/railnet", import.meta.url).pathname;
const work = mkdtempSync(join(tmpdir(), "railnet-sysdump-"));
const api = await ApiServer.start({ small: false });
const SECRET = "qX7vSecret9Lm2Zt";

/** RFC 6455, section 1.3. */
const accept = (key: string) =>
  createHash("sha1").update(`${key}258EAFA5-E914-47DA-95CA-C5AB0DC85B11`).digest("base64");

/** An unmasked frame of a server. Opcode 2: binary; 8: the end. */
function frame(content: Buffer, opcode = 2): Buffer {
  const head = Buffer.from([0x80 | opcode, 127, 0, 0, 0, 0, 0, 0, 0, 0]);
  head.writeBigUInt64BE(BigInt(content.length), 2);
  return Buffer.concat(
    content.length < 126 ? [Buffer.from([0x80 | opcode, content.length]), content] : [head, content],
  );
}
const channel = (number: number, content: Buffer | string) =>
  frame(Buffer.concat([Buffer.from([number]), Buffer.from(content)]));

/** A kubelet as far as `exec` goes: it runs the command of a pod here, or what the pod's name says. */
const asked: string[][] = [];
const kubelet = createServer({
  cert: readFileSync(api.pki.path("server.crt")),
  key: readFileSync(api.pki.path("server.key")),
});
kubelet.on("upgrade", (request, socket: Socket) => {
  const { pathname, searchParams } = new URL(request.url!, "https://kubelet");
  const command = searchParams.getAll("command");
  asked.push([pathname, ...command]);
  socket.on("error", () => {});
  socket.write(
    `HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Protocol: v4.channel.k8s.io\r\nSec-WebSocket-Accept: ${accept(String(request.headers["sec-websocket-key"]))}\r\n\r\n`,
  );
  const end = (status: object) =>
    socket.end(Buffer.concat([channel(3, JSON.stringify(status)), frame(Buffer.from([3, 232]), 8)]));
  if (pathname.includes("railnet-silent")) return;
  if (pathname.includes("railnet-torn")) return void socket.destroy();
  if (pathname.includes("railnet-old")) {
    socket.write(channel(2, "railnet: cannot run this: Unknown argument: sysdump"));
    return void end({ status: "Failure", message: "command terminated with exit code 2" });
  }
  const env = {
    ...process.env,
    NODENAME: "node-a",
    RAILNET_STATE_DIR: join(work, "state"),
    RAILNET_RUN_DIR: join(work, "run"),
  };
  execFile(RAILNET, command.slice(1), { encoding: "buffer", env, maxBuffer: 1 << 28 }, (error, stdout, stderr) => {
    socket.write(channel(2, stderr));
    for (let at = 0; at < stdout.length; at += 10_000) socket.write(channel(1, stdout.subarray(at, at + 10_000)));
    end(error ? { status: "Failure", message: error.message } : { status: "Success" });
  });
});
await new Promise<void>((resolve) => kubelet.listen(0, "127.0.0.1", resolve));
t.teardown(async () => {
  kubelet.closeAllConnections();
  kubelet.close();
  await api.stop();
  rmSync(work, { recursive: true });
});

async function agent(node: string, name: string, phase = "Running"): Promise<void> {
  await makeNode(api.raw, node);
  const { port: Port } = kubelet.address() as AddressInfo;
  const status = {
    addresses: [{ type: "InternalIP", address: "127.0.0.1" }],
    daemonEndpoints: { kubeletEndpoint: { Port } },
  };
  await api.raw.merge(`/api/v1/nodes/${node}/status`, { status });
  const metadata = { name, namespace: "kube-system", labels: { "app.kubernetes.io/name": "railnet" } };
  const env = [{ name: "DB_PASSWORD", value: SECRET }];
  await api.raw.apply({
    apiVersion: "v1",
    kind: "Pod",
    metadata,
    spec: { nodeName: node, containers: [{ name: "agent", image: "none", env }] },
  });
  await api.raw.merge(`/api/v1/namespaces/kube-system/pods/${name}/status`, { status: { phase } });
}
await agent("node-a", "railnet-good");
await agent("node-b", "railnet-old");
await agent("node-c", "railnet-pending", "Pending");
await agent("node-d", "railnet-torn");
await agent("node-e", "railnet-silent");
const settings = {
  apiVersion: "v1",
  kind: "ConfigMap",
  metadata: { name: "railnet-config", namespace: "kube-system" },
  data: { rails: "[]", password: SECRET },
};
await api.raw.apply(settings);

async function sysdump(name: string, ...more: string[]) {
  const to = join(work, `${name}.tar.gz`);
  const { exit, stderr } = await start(RAILNET, [
    "sysdump",
    "--kubeconfig",
    api.kubeconfig({ token: api.adminToken }),
    "--timeout-seconds",
    "2",
    "-o",
    to,
    ...more,
  ]);
  t.equal(exit, 0, stderr);
  const folder = join(work, name);
  mkdirSync(folder);
  execFileSync("tar", ["-xzf", to, "-C", folder, "--strip-components=1"]);
  const json = (path: string): Json => JSON.parse(readFileSync(join(folder, path), "utf8"));
  const errors = new Map<string, string>(
    json("sysdump.json").items.flatMap(({ path, error }: Json) => (error ? [[path, error]] : [])),
  );
  return { folder, json, errors, stderr };
}

t.test(
  "railnet sysdump --all-nodes has what the API server has and an archive of each agent that can make one",
  async (t) => {
    const { folder, json, errors } = await sysdump("all", "--all-nodes");
    t.equal(json("cluster/nodes.json").length, 5);
    t.equal(json("cluster/pods.json").length, 5);
    t.match(json("cluster/settings.json"), [{ data: { rails: "[]" } }]);
    t.match(json("cluster/version.json"), { gitVersion: /^v1\./ });
    t.same(
      asked.find(([path]) => path!.includes("railnet-good")),
      ["/exec/kube-system/railnet-good/agent", "/usr/bin/railnet", "sysdump", "--output", "-"],
    );
    const inner = join(work, "inner");
    mkdirSync(inner);
    execFileSync("tar", [
      "-xzf",
      join(folder, "nodes/node-a.railnet-good.tar.gz"),
      "-C",
      inner,
      "--strip-components=1",
    ]);
    t.match(JSON.parse(readFileSync(join(inner, "sysdump.json"), "utf8")), { node: "node-a" });
    t.ok(existsSync(join(inner, "network/link.json")));
    const why = (node: string) => errors.get(`nodes/${node}.tar.gz`);
    t.match(why("node-b.railnet-old"), /exit code 2: railnet: cannot run this: Unknown argument: sysdump/);
    t.match(why("node-c.railnet-pending"), /railnet-pending, does not run/);
    t.match(why("node-d.railnet-torn"), /railnet-torn: /);
    t.match(why("node-e.railnet-silent"), /no answer in time|took longer/);
    for (const secret of [SECRET, api.adminToken])
      t.equal(execFileSync("sh", ["-c", 'grep -rlaF "$0" "$1" || true', secret, folder], { encoding: "utf8" }), "");
  },
);

t.test("railnet sysdump --node asks those nodes alone, and names one without an agent", async (t) => {
  asked.length = 0;
  const { errors } = await sysdump("some", "--node", "node-a", "node-z");
  t.same(
    asked.map(([path]) => path),
    ["/exec/kube-system/railnet-good/agent"],
  );
  t.equal(errors.get("nodes/node-z.tar.gz"), "no agent runs on this node");
});
