import t from "tap";
import { NIC_EVENTS, nicCountersOf } from "../../kernel/nic-counters.ts";

/** A driver with these counters, as the kernel's ioctl shows them (include/uapi/linux/ethtool.h). */
class Driver {
  readonly #counters: Record<string, number>;
  /** How many more it has when it is asked for values. */
  more = 0;

  constructor(counters: Record<string, number>) {
    this.#counters = counters;
  }

  readonly ask = (_link: string, bytes: Buffer): void => {
    const names = Object.keys(this.#counters);
    const command = bytes.readUInt32LE(0);
    if (command === 0x37) {
      bytes.writeUInt32LE(names.length, 16);
      if (names.length === 0) bytes.writeBigUInt64LE(0n, 8);
    }
    if (command === 0x1b) {
      bytes.writeUInt32LE(names.length, 8);
      for (const [i, name] of names.entries()) bytes.write(name.padEnd(32, "\0"), 12 + 32 * i, "latin1");
    }
    if (command === 0x1d) {
      const values = [...Object.values(this.#counters), ...new Array<number>(this.more).fill(9)];
      bytes.writeUInt32LE(values.length, 4);
      for (const [i, value] of values.entries()) bytes.writeBigUInt64LE(BigInt(value), 8 + 8 * i);
    }
  };
}

t.test("nicCountersOf() tells what tells of a sick fabric, and nothing else", async (t) => {
  const { ask } = new Driver({ rx_packets: 5, rx_discards_phy: 3, rx_prio3_pause: 2 ** 40, rx0_packets: 1, "rx_priority_7_xoff.nic": 4 }); // biome-ignore format: one row
  t.same(nicCountersOf("ens1", ask), { rx_discards_phy: 3, rx_prio3_pause: 2 ** 40, "rx_priority_7_xoff.nic": 4 });
});

t.test(
  "nicCountersOf() tells nothing where there is nothing, or the driver has other counters meanwhile",
  async (t) => {
    t.same(nicCountersOf("ens1", new Driver({}).ask), {});
    const grows = new Driver({ rx_discards_phy: 3 });
    grows.more = 7;
    t.same(nicCountersOf("ens1", grows.ask), {}, "no value under another's name");
    for (const code of ["EOPNOTSUPP", "ENODEV"])
      t.same(
        nicCountersOf("ens1", () => {
          throw Object.assign(new Error(code), { code });
        }),
        {},
      );
  },
);

t.test("the names fit the kernel's 31 bytes", async (t) => {
  t.same(
    [...NIC_EVENTS].filter((name) => name.length > 31),
    [],
  );
});
