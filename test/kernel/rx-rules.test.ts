import t from "tap";
import { RxRules } from "../../kernel/rx-rules.ts";

/** A driver with these rules, as `struct ethtool_rxnfc` shows them on 64-bit machines (offsets by the compiler). */
class Driver {
  readonly locations: number[];
  readonly asked: string[] = [];

  constructor(...locations: number[]) {
    this.locations = locations;
  }

  readonly ask = (link: string, rxnfc: Buffer): void => {
    const command = rxnfc.readUInt32LE(0);
    this.asked.push(`${link} 0x${command.toString(16)} ${rxnfc.length}`);
    if (command === 0x2e) rxnfc.writeUInt32LE(this.locations.length, 184);
    if (command === 0x30) for (const [i, at] of this.locations.entries()) rxnfc.writeUInt32LE(at, 188 + 4 * i);
    if (command === 0x31) this.locations.splice(this.locations.indexOf(rxnfc.readUInt32LE(176)), 1);
  };
}

t.test("RxRules lists where a driver's rules are, with one question where there are none", async (t) => {
  const [some, none] = [new Driver(7, 0, 1023), new Driver()];
  t.same(new RxRules(some.ask).list("rail0v0"), [7, 0, 1023]);
  t.same(some.asked, ["rail0v0 0x2e 192", "rail0v0 0x30 204"]);
  t.same(new RxRules(none.ask).list("rail0v0"), []);
  t.same(none.asked, ["rail0v0 0x2e 192"]);
});

t.test("RxRules removes the rule at a place", async (t) => {
  const driver = new Driver(7, 0, 1023);
  new RxRules(driver.ask).remove("rail0v0", 0);
  t.same(driver.locations, [7, 1023]);
});

for (const code of ["EOPNOTSUPP", "EINVAL"])
  t.test(`RxRules takes ${code} as a driver without rules, and nothing else`, async (t) => {
    const refuses = (code: string) =>
      new RxRules(() => {
        throw Object.assign(new Error(code), { code });
      });
    t.same(refuses(code).list("x"), []);
    t.throws(() => refuses("ENODEV").list("x"), { code: "ENODEV" });
  });
