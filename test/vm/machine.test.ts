import { spawn } from "node:child_process";
import { readFileSync, writeFileSync } from "node:fs";
import { join, resolve } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import t from "tap";
import type { Machine } from "../../lab/vm/machine.ts";
import { nodesFor } from "../../lab/vm/nodes.ts";
import { nodeRoutes } from "./node-routes/node-routes.ts";

const POD_SCRIPT = readFileSync("lab/vm/pod.sh");
const RAILS = [0, 1, 2, 3];

t.setTimeout(600_000);
const nodes = await nodesFor(t);
const [n0, n1] = nodes;

t.test("exec() returns exit status, standard output and standard error apart", async (t) => {
  const reply = await n0.exec(["bash", "-c", "cat; echo bad >&2; echo $WHO $PWD; exit 3"], {
    stdin: "in\n",
    env: { WHO: "me" },
    cwd: "/tmp",
  });
  t.match(reply, { exit: 3, stdout: "in\nme /tmp\n", stderr: "bad\n" });
});

t.test("exec() says 127 of a program that is not there and 128 + n of one that a signal ended", async (t) => {
  t.match(await n0.exec(["no-such-program"]), { exit: 127, stderr: /no-such-program/ });
  t.match(await n0.sh("kill -9 $$"), { exit: 137 });
});

t.test("exec() passes a megabyte both ways without a deadlock", async (t) => {
  const text = "0123456789abcde\n".repeat(1 << 16);
  t.ok((await n0.exec(["cat"], { stdin: text })).stdout === text, "comes back as it was");
});

t.test("exec() kills the whole process group at its time limit and the channel stays good", async (t) => {
  await t.rejects(n0.sh("sleep 987 & sleep 987", { timeoutMs: 300 }), {
    message: /no end within 300 ms \(ETIMEDOUT\)/,
  });
  t.equal((await n0.sh("pgrep -c -f '[s]leep 987'")).stdout, "0\n");
});

t.test("exec() does not wait for what a command leaves behind", async (t) => {
  const { guestMs } = await n0.sh("sleep 60 & echo left");
  t.ok(guestMs < 60_000, `${guestMs} ms`);
});

t.test("exec() runs twenty commands at once on eight channels", async (t) => {
  const replies = await Promise.all(Array.from({ length: 20 }, (_, i) => n0.exec(["echo", `${i}`])));
  t.same(
    replies.map(({ stdout }) => stdout),
    Array.from({ length: 20 }, (_, i) => `${i}\n`),
  );
});

t.test("exec() serves several processes at once, and takes back the channel of one that is killed", async (t) => {
  const other = spawn(process.execPath, [resolve("lab/vm/vm.ts"), "sh", n0.name, "exec sleep 765"], {
    stdio: "ignore",
  });
  const sleepers = () => n0.ask("pgrep -c -x -f '[s]leep 765' || true");
  while ((await sleepers()) !== "1\n") await sleep(20);
  await Promise.all(Array.from({ length: 12 }, () => n0.ask("true")));
  other.kill("SIGKILL");
  while ((await sleepers()) !== "0\n") await sleep(20);
  t.match(
    await Promise.all(Array.from({ length: 8 }, () => n0.sh("sleep 0.3; echo on"))),
    Array(8).fill({ stdout: "on\n" }),
  );
});

t.test("push() brings the file as it is now, though the guest has read it before", async (t) => {
  const file = join(t.testdir({ file: "first" }), "file");
  await n0.push(file, "/tmp/pushed/file");
  t.equal(await n0.ask("cat /tmp/pushed/file"), "first");
  writeFileSync(file, "second");
  await n0.push(file, "/tmp/pushed/file");
  t.equal(await n0.ask("test -x /tmp/pushed/file; cat /tmp/pushed/file"), "second");
});

for (const node of nodes)
  t.test(`start() gives ${node.name} four rails with four VFs each, attributed to their PF`, async (t) => {
    const links = JSON.parse(await node.ask("ip -j -d link"));
    for (const rail of RAILS) {
      const pf = links.find((link: { ifname: string }) => link.ifname === `rail${rail}`);
      t.equal(pf?.vfinfo_list.length, 4, `rail${rail}`);
      const found = await node.ask(`cd /sys/class/net/rail${rail}/device; for i in 0 1 2 3; do ls virtfn$i/net; done`);
      t.same(
        found.trim().split("\n"),
        [0, 1, 2, 3].map((i) => `rail${rail}v${i}`),
      );
    }
  });

t.test("start() gives both nodes a primary network", async (t) => {
  t.match(await n0.sh("ping -q -c 1 -W 5 192.0.2.2"), { exit: 0 });
});

t.test("pods with one VF a rail reach each other on every rail, and only on their own", async (t) => {
  await Promise.all(nodes.map((node, i) => makePod(node, i)));
  t.teardown(() => Promise.all(nodes.map((node) => node.ask(RETURN_VFS))));
  for (const rail of RAILS) {
    t.match(await ping(n0, `192.168.${rail}.12`, `net${rail + 1}`), { exit: 0 }, `rail ${rail}`);
    t.match(
      await ping(n0, `192.168.${rail}.12`, `net${((rail + 1) % 4) + 1}`, 1),
      { exit: 1 },
      `rail ${rail}'s address is not on the next rail`,
    );
  }
});

t.test("RDMA's namespace mode can be switched while no namespace exists", async (t) => {
  t.match(await n1.ask("rdma system set netns exclusive; rdma system"), /netns exclusive/);
  t.match(await n1.ask("rdma system set netns shared; rdma system"), /netns shared/);
});

t.test("in exclusive mode a pod's RDMA device can be moved and renamed", async (t) => {
  await n1.ask(
    "rdma system set netns exclusive; ip netns add rdma; ip link set rail0v1 up; rdma link add rxe0 type rxe netdev rail0v1",
  );
  t.teardown(() =>
    n1.ask("rdma link delete rail0 2>/dev/null; ip netns del rdma; sleep 0.5; rdma system set netns shared"),
  );
  await n1.ask("rdma dev set rxe0 netns rdma; ip netns exec rdma rdma dev set rxe0 name rail0");
  t.same(
    [await n1.ask("rdma dev"), await n1.ask('ip netns exec rdma rdma -j dev | grep -o \'"ifname":"[a-z0-9]*\'')],
    ["", '"ifname":"rail0\n'],
  );
});

t.test("monitor() pulls a rail's cable", async (t) => {
  const carrier = async () => (await n0.ask("cat /sys/class/net/rail2/carrier")).trim();
  t.equal(await carrier(), "1");
  await n0.monitor("set_link rail2 off");
  await n0.ask("for i in {1..100}; do read -r c < /sys/class/net/rail2/carrier; [ $c = 1 ] || break; sleep 0.05; done");
  t.equal(await carrier(), "0");
  await n0.monitor("set_link rail2 on");
  await n0.ask("for i in {1..100}; do read -r c < /sys/class/net/rail2/carrier; [ $c = 0 ] || break; sleep 0.05; done");
  t.equal(await carrier(), "1");
});

t.test("nodes on rails: traffic between the primary addresses runs over all four, as long as they carry it", (t) =>
  nodeRoutes(t, nodes),
);

const RETURN_VFS = `for r in 0 1 2 3; do printf 'link set net%s down\\nlink set net%s netns 1 name rail%sv0\\n' $((r + 1)) $((r + 1)) $r; done | ip -n pod -batch -; ip netns del pod`;

async function makePod(node: Machine, index: number): Promise<void> {
  await node.exec(["bash", "-s"], { stdin: POD_SCRIPT, env: { POD: "pod", I: "0", H: `${11 + index}` } });
}

const ping = (node: Machine, address: string, device: string, seconds = 10) =>
  node.exec(["ip", "netns", "exec", "pod", "ping", "-q", "-c", "1", "-w", `${seconds}`, "-I", device, address]);
