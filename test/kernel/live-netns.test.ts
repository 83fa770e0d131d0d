// Network namespaces: what is taken for one, and where a thread is before, in and after one.
import { mkdtempSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import t from "tap";
import { must } from "../../lab/netns/run.ts";
import { scenario } from "./support/inside.ts";
import { Live } from "./support/live.ts";

let live: Live;
t.beforeEach(async () => {
  live = await Live.create();
});
t.afterEach(() => live.remove());
t.jobs = 1;

t.test("openNetns() opens a namespace; its inode tells it from others", async (t) => {
  const { host, pod } = live;
  const other = await scenario(host, "lookAt", { path: pod.path });
  t.same(other, { value: { inode: statSync(pod.path).ino, isOwn: false }, leaked: 0 });
  const own = await scenario(host, "lookAt", { path: host.path });
  t.same(own, { value: { inode: statSync(host.path).ino, isOwn: true }, leaked: 0 });
});

t.test("openNetns() refuses what is no network namespace, at once, and leaves no descriptor", async (t) => {
  const dir = mkdtempSync(join(tmpdir(), "railnet-netns-"));
  t.teardown(() => rmSync(dir, { recursive: true }));
  const [fifo, file] = [join(dir, "fifo"), join(dir, "file")];
  await must("mkfifo", [fifo]);
  writeFileSync(file, "");
  for (const { path, code } of [
    { path: file, code: "ENOTNETNS" },
    { path: fifo, code: "ENOTNETNS" },
    { path: dir, code: "ENOTNETNS" },
    { path: "/proc/version", code: "ENOTNETNS" },
    { path: "/proc/self/ns/mnt", code: "ENOTNETNS" },
    { path: "/dev/null", code: "ENOTNETNS" },
    { path: join(dir, "nothing"), code: "ENOENT" },
    { path: `${file}/net`, code: "ENOTDIR" },
  ]) {
    const { error, leaked } = await scenario(live.host, "lookAt", { path });
    t.equal(error?.code, code, path);
    t.equal(leaked, 0);
    if (code === "ENOTNETNS") t.equal(error?.message, `cannot open ${path}: it is not a network namespace (ENOTNETNS)`);
  }
});

t.test("inNetns() is in the namespace, and out of it afterwards; a socket from there stays there", async (t) => {
  const { value, leaked } = await scenario(live.host, "visit", { path: live.pod.path });
  t.same(value, { before: ["lo", "v0"], inside: ["lo"], bySocket: ["lo"], after: ["lo", "v0"] });
  t.equal(leaked, 0);
});

t.test("inNetns() comes back when its function throws, and refuses to be called from within", async (t) => {
  const { value } = await scenario(live.host, "comeBackAfterThrow", { path: live.pod.path });
  t.match(value, {
    before: ["lo", "v0"],
    thrown: ["cannot enter a network namespace from within another", /ENOENT/],
    after: ["lo", "v0"],
  });
});

t.test(
  "writeSysctl() and readSysctl() in a namespace mean that one's, also for a link with dots in its name",
  async (t) => {
    const { host, pod } = live;
    for (const netns of [host, pod]) await netns.ip("link", "add", "a.b.c", "type", "veth", "peer", "name", "peer0");
    const key = "net.ipv4.conf.IFNAME.rp_filter";
    const { value } = await scenario(host, "sysctl", { path: pod.path, key, ifname: "a.b.c", value: "2" });
    t.equal(value, "2");
    const read = (netns: typeof host) => netns.exec("cat", "/proc/sys/net/ipv4/conf/a.b.c/rp_filter");
    t.equal((await read(pod)).trim(), "2");
    t.equal((await read(host)).trim(), "0");
  },
);

t.test("writeSysctl() refused by the kernel throws its errno", async (t) => {
  const input = { path: live.pod.path, key: "net.ipv4.conf.IFNAME.rp_filter", ifname: "lo", value: "rubbish" };
  t.equal((await scenario(live.host, "sysctl", input)).error?.code, "EINVAL");
  t.equal((await scenario(live.host, "sysctl", { ...input, ifname: "nosuch" })).error?.code, "ENOENT");
});
