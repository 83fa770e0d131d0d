import { existsSync, globSync, readFileSync } from "node:fs";
import { basename } from "node:path";
import t from "tap";
import { Node } from "../../../lab/kubelet/node.ts";

t.setTimeout(600_000);

/** Where this machine would show something of a node: processes, mounts, cgroups, its folder. */
function traces({ folder }: Node): string[] {
  const name = basename(folder);
  // One that has ended, and that its parent has not looked after yet, is of a group that is deleted.
  const processes = globSync("/proc/[0-9]*/cgroup").filter((file) =>
    new RegExp(`${name}.*(?<! \\(deleted\\))$`, "m").test(text(file)),
  );
  const mounts = text("/proc/self/mountinfo")
    .split("\n")
    .filter((line) => line.includes(name));
  return [
    ...processes,
    ...mounts,
    ...globSync(`/sys/fs/cgroup/{.,*}/${name}`),
    ...(existsSync(folder) ? [folder] : []),
  ];
}

function text(file: string): string {
  try {
    return readFileSync(file, "utf8");
  } catch {
    return ""; // it just ended
  }
}

t.test("a node has files, processes and a network of its own, and ends without a trace", async (t) => {
  const node = await Node.start("node1");
  t.equal((await node.exec(["hostname"])).trim(), "node1");
  await node.exec([
    "sh",
    "-c",
    "echo node > /etc/only-here; ip link add only-here type veth; mount -t tmpfs none /mnt",
  ]);
  const program = await node.spawn("sleep", ["sleep", "1000"]);
  t.notOk(existsSync("/etc/only-here"));
  t.notOk(existsSync("/sys/class/net/only-here"));
  t.ok(traces(node).length > 0, "a node that runs leaves traces");
  await node.stop();
  t.ok(program.ended);
  t.same(traces(node), []);
});
