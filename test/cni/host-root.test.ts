import { execFileSync } from "node:child_process";
import { mkdirSync, symlinkSync, writeFileSync } from "node:fs";
import t from "tap";
import { onHost } from "../../cni/host-root.ts";

const root = t.testdir({});
for (const dir of ["run/netns", "opt/cni/real", "var", "etc"]) mkdirSync(`${root}/${dir}`, { recursive: true });
writeFileSync(`${root}/run/netns/a`, "");
writeFileSync(`${root}/opt/cni/real/static`, "");
for (const [target, path] of [
  ["/run", "var/run"],
  ["../run", "var/relative"],
  ["/opt/cni/real", "opt/cni/bin"],
  ["/etc/loop", "etc/loop"],
  ["../../../../../../run", "etc/up"],
  ["/nowhere", "etc/dangling"],
] as const)
  symlinkSync(target, `${root}/${path}`);

const CHROOTED =
  "import os,sys; os.chroot(sys.argv[1]); print(os.stat(sys.argv[2]).st_ino if os.path.exists(sys.argv[2]) else 0)";
const inode = (path: string): string =>
  execFileSync("sh", ["-c", 'stat -c %i "$1" 2>/dev/null || echo 0', "sh", path], { encoding: "utf8" }).trim();

for (const [path, want, why] of [
  ["/run/netns/a", "/run/netns/a", "a path without links"],
  ["/var/run/netns/a", "/run/netns/a", "a link with an absolute target"],
  ["/var/relative/netns/a", "/run/netns/a", "a link with a relative target"],
  ["/opt/cni/bin/static", "/opt/cni/real/static", "a link elsewhere on the host"],
  ["/etc/up/netns/a", "/run/netns/a", "a link that climbs above the root"],
  ["/../../etc/../run/netns/a", "/run/netns/a", "a path that climbs above the root"],
  ["/var/run/netns/gone", "/run/netns/gone", "a file that is not there"],
  ["/etc/dangling/x", "/nowhere/x", "a link into nothing"],
  ["//var///run/", "/run", "slashes"],
] as const)
  t.test(`onHost() follows ${why} below the root`, async (t) => {
    t.equal(onHost(root, path).replace(/\/$/, ""), `${root}${want}`);
    // chroot(2) is what says how the host itself would see it.
    if (process.getuid?.() === 0 && !want.startsWith("/nowhere"))
      t.equal(
        inode(`${root}${want}`),
        execFileSync("python3", ["-c", CHROOTED, root, path], { encoding: "utf8" }).trim(),
      );
  });

t.test("onHost() leaves a path of the host itself, and of /proc, which both see, as it is", async (t) => {
  t.equal(onHost("/", "/var/run/netns/a"), "/var/run/netns/a");
  t.equal(onHost(root, "/proc/1234/ns/net"), "/proc/1234/ns/net");
});

t.test("onHost() gives up on a link to itself, for the kernel to refuse", async (t) => {
  t.equal(onHost(root, "/etc/loop/x"), `${root}/etc/loop/x`);
});
