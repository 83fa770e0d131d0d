import { mkdirSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import t from "tap";
import { gidOf, gidsIn, rdmaPortOf, roceGidOf, roceMtuOf } from "../../kernel/rdma-port.ts";

const root = t.testdir();
const put = (path: string, text: string) => {
  const file = join(root, "class/infiniband/mlx5_4/ports/1", path);
  mkdirSync(dirname(file), { recursive: true });
  writeFileSync(file, text);
};

t.test("the GID of an address is what the kernel makes of it", async (t) => {
  t.equal(gidOf("10.0.1.255"), "0000:0000:0000:0000:0000:ffff:0a00:01ff");
  t.equal(gidOf("fd00::1"), "fd00:0000:0000:0000:0000:0000:0000:0001");
  t.equal(gidOf("2001:db8:0:1:2:3:4:5"), "2001:0db8:0000:0001:0002:0003:0004:0005");
  t.equal(gidOf("fd00:1:2:3:4:5:6::"), "fd00:0001:0002:0003:0004:0005:0006:0000");
  t.equal(gidOf("FE80::A"), "fe80:0000:0000:0000:0000:0000:0000:000a");
});

t.test("a port and its GID table as mlx5 shows them", async (t) => {
  t.equal(rdmaPortOf(root, "mlx5_4"), undefined, "it is in another namespace");
  const [link, v4, none] = [gidOf("fe80::1"), gidOf("10.0.1.2"), gidOf("::")];
  for (const [i, gid] of [link, link, none, v4, v4, none].entries()) put(`gids/${i}`, `${gid}\n`);
  for (const [i, type] of [..."v1 v2 - v1 v2".split(" ")].entries())
    if (type !== "-") put(`gid_attrs/types/${i}`, type === "v1" ? "IB/RoCE v1\n" : "RoCE v2\n"); // an empty entry's is EINVAL
  put("state", "4: ACTIVE\n");
  put("rate", "200 Gb/sec (4X HDR)\n");
  t.same(rdmaPortOf(root, "mlx5_4"), { number: 1, state: "ACTIVE", rate: 200 });
  t.same(roceGidOf(root, "mlx5_4", 1, "10.0.1.2"), { index: 4, gid: v4 }, "with RoCE v2, behind a hole");
  t.same(roceGidOf(root, "mlx5_4", 1, "fe80::1"), { index: 1, gid: link });
  t.equal(roceGidOf(root, "mlx5_4", 1, "10.0.1.3"), undefined);
  t.equal(gidsIn(root, "mlx5_4", 1).length, 4, "those that are something");
  put("state", "1: DOWN\n");
  put("rate", "2.5 Gb/sec (1X SDR)\n");
  t.same(rdmaPortOf(root, "mlx5_4"), { number: 1, state: "DOWN", rate: 2.5 });
});

t.test("the RoCE MTU follows the link's", async (t) => {
  t.same([9000, 4200, 4191, 1500, 300].map(roceMtuOf), [4096, 4096, 2048, 1024, undefined]);
});
