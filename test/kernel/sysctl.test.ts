import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import t from "tap";
import { readSysctl, sysctlPath, writeSysctl } from "../../kernel/sysctl.ts";

for (const { key, ifname, want } of [
  { key: "net.core.somaxconn", ifname: undefined, want: "/proc/sys/net/core/somaxconn" },
  { key: "net.ipv4.conf.IFNAME.rp_filter", ifname: "net1", want: "/proc/sys/net/ipv4/conf/net1/rp_filter" },
  {
    key: "net.ipv6.conf.IFNAME.disable_ipv6",
    ifname: "eth0.100",
    want: "/proc/sys/net/ipv6/conf/eth0.100/disable_ipv6",
  },
  { key: "net.ipv4.conf.all.arp_ignore", ifname: "net1", want: "/proc/sys/net/ipv4/conf/all/arp_ignore" },
])
  t.test(`sysctlPath() of ${key}${ifname ? ` of ${ifname}` : ""}`, async (t) => t.equal(sysctlPath(key, ifname), want));

for (const key of [
  "kernel.core_pattern",
  "net",
  "netx.core.somaxconn",
  "net..core",
  "net.ipv4.conf.../../kernel.core_pattern",
  "net/ipv4/ip_forward",
  "net.ipv4/../../kernel/core_pattern",
  "net.ipv4.conf.net1 .rp_filter",
  "net.ipv4.ip_forward\n",
  ".net.ipv4.ip_forward",
  "",
])
  t.test(`sysctlPath() refuses ${JSON.stringify(key)}`, async (t) => {
    t.throws(() => sysctlPath(key), { message: `cannot use sysctl ${key}: only keys below net. are allowed` });
  });

for (const ifname of ["", ".", "..", "../../kernel", "a/b", "a b", "sixteen-letters-"])
  t.test(`sysctlPath() refuses interface ${JSON.stringify(ifname)}`, async (t) => {
    const key = "net.ipv4.conf.IFNAME.rp_filter";
    t.throws(() => sysctlPath(key, ifname), { message: `cannot use interface name "${ifname}" in sysctl ${key}` });
  });

t.test("writeSysctl() writes the file that readSysctl() reads, and makes none", async (t) => {
  const root = t.testdir();
  const file = join(root, "net/ipv4/conf/eth0.100/rp_filter");
  mkdirSync(dirname(file), { recursive: true });
  writeFileSync(file, "0\n");
  const place = { ifname: "eth0.100", root };
  writeSysctl("net.ipv4.conf.IFNAME.rp_filter", "2", place);
  t.match(readFileSync(file, "utf8"), /^2/);
  t.equal(readSysctl("net.ipv4.conf.IFNAME.rp_filter", place), "2");
  t.throws(() => writeSysctl("net.ipv4.conf.IFNAME.no_such", "1", place), { code: "ENOENT" });
  t.throws(() => readSysctl("net.ipv4.conf.IFNAME.no_such", place), { code: "ENOENT" });
});
