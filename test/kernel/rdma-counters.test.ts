import { mkdirSync, symlinkSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import t from "tap";
import { rdmaCountsOf, rdmaDevicesSeen } from "../../kernel/rdma-counters.ts";

const root = t.testdir();
const put = (path: string, text: string) => {
  mkdirSync(dirname(join(root, path)), { recursive: true });
  writeFileSync(join(root, path), text);
};

t.test("counters as mlx5 has them, words as bytes, and nothing but the list", async (t) => {
  const port = "class/infiniband/mlx5_4/ports/1";
  for (const [name, value] of Object.entries({ port_xmit_data: "100", port_rcv_data: "7", port_xmit_packets: "3", port_rcv_packets: "2", link_downed: "1", symbol_error: "9" })) put(`${port}/counters/${name}`, `${value}\n`); // biome-ignore format: one row
  for (const [name, value] of Object.entries({ np_cnp_sent: "5", out_of_sequence: "N/A", lifespan: "10" })) put(`${port}/hw_counters/${name}`, `${value}\n`); // biome-ignore format: one row
  t.same(rdmaCountsOf(root, "mlx5_4"), {
    sentBytes: 400,
    receivedBytes: 28,
    sentPackets: 3,
    receivedPackets: 2,
    events: { link_downed: 1, np_cnp_sent: 5 },
  });
  t.equal(rdmaCountsOf(root, "mlx5_5"), undefined);
});

t.test("counters as rxe has them", async (t) => {
  for (const [name, value] of Object.entries({ sent_pkts: "3", rcvd_pkts: "2", duplicate_request: "1" })) put(`class/infiniband/rxe0/ports/1/hw_counters/${name}`, `${value}\n`); // biome-ignore format: one row
  t.same(rdmaCountsOf(root, "rxe0"), { sentPackets: 3, receivedPackets: 2, events: { duplicate_request: 1 } });
});

t.test("a function's devices are those whose parent it is", async (t) => {
  symlinkSync("../../../0000:a0:02.0", join(root, "class/infiniband/mlx5_4/device"));
  t.same(rdmaDevicesSeen(root, "0000:a0:02.0"), ["mlx5_4"]);
  t.same(rdmaDevicesSeen(root, "0000:a0:02.1"), []);
});
