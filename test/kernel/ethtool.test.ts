import t from "tap";
import { Ethtool } from "../../kernel/ethtool.ts";
import { type Message, type NetlinkConnection, NetlinkError } from "../../kernel/netlink/message.ts";

/** What Linux 6.18 answered for a veth of index 3, by the hex of the request. */
const CAPTURED: Readonly<Record<string, string>> = {
  // The family's name and number; its operations are cut off.
  "030100000c000200657468746f6f6c00": "010200000c000200657468746f6f6c000600010015000000",
  "0b0100001400018008000100030000000800030003000000":
    "0b01000014000180080001000300000007000200763000002400028008000200400000000c000400e949dd4f2e63000a0c000500" +
    "ffffffffffffffff1c0003800400010008000200400000000c000400e109dd4f0e6100001c0004800400010008000200400000000c000400" +
    "e109c04f0c6100001c0005800400010008000200400000000c0004000004000000000000",
  "110100001400018008000100030000000800030003000000":
    "1201000014000180080001000300000007000200763000000800020002000000080006000100000008000300020000000800070001000000",
};
const ETHTOOL = 0x15;

class Kernel implements Pick<NetlinkConnection, "request"> {
  readonly sent: string[] = [];

  request({ what, type, body, get }: Message): Buffer | undefined {
    const hex = Buffer.from(body).toString("hex");
    this.sent.push(`${type} ${hex}`);
    if (!get) return undefined;
    const reply = CAPTURED[hex];
    if (!reply) throw new NetlinkError(what, "EOPNOTSUPP", "");
    return Buffer.from(reply, "hex");
  }
}

const open = (): [Ethtool, Kernel] => {
  const kernel = new Kernel();
  return [new Ethtool(kernel as unknown as NetlinkConnection), kernel];
};

t.test(
  "Ethtool reads wanted features as bits, and channels by ethtool(8)'s names, without what is a maximum",
  async (t) => {
    const [ethtool] = open();
    t.same(ethtool.read(3, "features"), { bits: "64:e109dd4f0e610000" });
    t.same(ethtool.read(3, "channels"), { rx: 1, tx: 1 });
    t.throws(() => ethtool.read(3, "rings"), { code: "EOPNOTSUPP" });
  },
);

t.test("Ethtool names only the bits that differ", async (t) => {
  const [ethtool, kernel] = open();
  ethtool.write(3, "features", { bits: "64:e149dd4f0e610000" }, { bits: "64:e109dd4f0e610000" });
  t.equal(
    kernel.sent.at(-1),
    `${ETHTOOL} 0c0100001400018008000100030000000800030003000000` +
      "2400038008000200400000000c000400e149dd4f0e6100000c0005000040000000000000",
    "GRO on: as Linux 6.18 took it",
  );
});

t.test(
  "Ethtool sets numbers in the width of their attribute, and nothing that neither side has or that is the same",
  async (t) => {
    const [ethtool, kernel] = open();
    const sent = kernel.sent.length;
    ethtool.write(3, "channels", { rx: 1, tx: 1 }, { rx: 1, tx: 1 });
    ethtool.write(3, "rings", { rx: 1024 }, { tx: 80 });
    t.equal(kernel.sent.length, sent);
    ethtool.write(
      3,
      "coalescing",
      { "rx-usecs": 3, "adaptive-rx": 1, "tx-usecs": 5 },
      { "rx-usecs": 9, "adaptive-rx": 0, "tx-usecs": 5 },
    );
    t.equal(
      kernel.sent.at(-1),
      `${ETHTOOL} 14010000140001800800010003000000080003000300000008000200030000000500${"0b00"}01000000`,
    );
  },
);
