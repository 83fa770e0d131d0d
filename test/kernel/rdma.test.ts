import t from "tap";
import {
  getRdmaDevices,
  getRdmaNetnsMode,
  listRdmaDevices,
  moveRdmaDevice,
  parseRdmaDevice,
  rdmaNetnsMode,
  renameRdmaDevice,
} from "../../kernel/rdma.ts";
import type { Fd } from "../../kernel/syscall.ts";
import { hex } from "./support/captures.ts";
import { all, bodyOf, guest, last } from "./support/guest.ts";
import { Kernel } from "./support/kernel-double.ts";

const typeOf = (datagram: Buffer) => datagram.readUInt16LE(4);
const deviceAt = (bodies: Buffer[], name: string) => bodies.map(parseRdmaDevice).find((d) => d.name === name)!.index;

t.test("getRdmaNetnsMode() sends what `rdma system show` sends", async (t) => {
  const [, want] = all(guest.exclusive, "kernel");
  t.equal(getRdmaNetnsMode().type, typeOf(want!));
  t.equal(hex(getRdmaNetnsMode().body), hex(bodyOf(want!)));
});

for (const mode of ["shared", "exclusive"] as const)
  t.test(`rdmaNetnsMode() reads the answer of a kernel in ${mode} mode`, async (t) => {
    const answer = all(guest[mode], "user").find((d) => typeOf(d) === getRdmaNetnsMode().type)!;
    t.equal(rdmaNetnsMode(Kernel.answering([answer])), mode);
  });

t.test("rdmaNetnsMode() takes a kernel that does not say for one that knows only shared", async (t) => {
  t.equal(
    rdmaNetnsMode(Kernel.answering([Buffer.from(`10000000${"0614"}0000${"00000000"}${"00000000"}`, "hex")])),
    "shared",
  );
});

t.test("getRdmaDevices() sends what `rdma dev show` sends", async (t) => {
  const [want] = all(guest.devices, "kernel");
  t.equal(getRdmaDevices().type, typeOf(want!));
  t.equal(hex(getRdmaDevices().body), hex(bodyOf(want!)));
});

t.test("listRdmaDevices() reads what rdma(8) reads", async (t) => {
  const dump = all(guest.devices, "user").slice(0, 3);
  const want = (guest.devices.printed as { ifindex: number; ifname: string }[]).map(({ ifindex, ifname }) => ({
    index: ifindex,
    name: ifname,
  }));
  t.equal(want.length, 2);
  t.same(listRdmaDevices(Kernel.answering(dump)), want);
  t.same(listRdmaDevices(Kernel.answering(all(guest["no-devices"], "user"))), []);
});

t.test("moveRdmaDevice() sends what `rdma dev set rxe0 netns pod` sends", async (t) => {
  const want = last(guest.move, "kernel");
  const index = deviceAt(all(guest.move, "user").slice(0, 2).map(bodyOf), "rxe0");
  const message = moveRdmaDevice(index, { n: 4 } as Fd, "move rxe0");
  t.equal(message.type, typeOf(want));
  t.equal(hex(message.body), hex(bodyOf(want)));
});

t.test("renameRdmaDevice() sends what `rdma dev set rxe1 name rdma_rail1` sends", async (t) => {
  const want = last(guest.rename, "kernel");
  const index = deviceAt(all(guest.rename, "user").slice(0, 2).map(bodyOf), "rxe1");
  const message = renameRdmaDevice(index, "rdma_rail1");
  t.equal(message.type, typeOf(want));
  t.equal(hex(message.body), hex(bodyOf(want)));
});

t.test("parseRdmaDevice() refuses a device without a name", async (t) => {
  t.throws(() => parseRdmaDevice(Buffer.from("0800010001000000", "hex")), /it has no index or no name/);
});
