import assert from "node:assert/strict";
import { existsSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import t from "tap";
import { type Setting, Settings, type Sysctls, wantedSettings } from "../../../daemonset/routes/settings.ts";
import * as fc from "../../../lab/properties.ts";

const BOOT = "11111111-2222";
const WANTED = wantedSettings("eth0", ["r1", "r2"], 500);
const name = ({ key, ifname = "" }: Setting) => `${key} ${ifname}`;

/** A node's sysctls; a kill comes instead of a write when none are left. */
class Node implements Sysctls {
  readonly values: Map<string, string>;
  writes = Number.POSITIVE_INFINITY;
  readonly order: string[] = [];

  constructor(values: readonly (readonly [string, string])[]) {
    this.values = new Map(values);
  }

  read = (setting: Setting) => this.values.get(name(setting));

  write = (setting: Setting) => {
    if (this.writes-- <= 0) throw new Error("killed");
    this.values.set(name(setting), setting.value);
    this.order.push(name(setting));
  };
}

const dir = mkdtempSync(join(tmpdir(), "railnet-settings-"));
t.teardown(() => rmSync(dir, { recursive: true }));
let n = 0;
const freshDir = () => join(dir, `${n++}`);
const other = () => WANTED.map((setting) => [name(setting), "7"] as const);

t.test("Settings.apply() sets all in the stated order, and restore() puts all back in reverse", async (t) => {
  const node = new Node(other());
  const settings = new Settings(freshDir(), BOOT, node);
  settings.apply(WANTED);
  t.same(node.order, WANTED.map(name));
  const at = (key: string) => node.order.findIndex((one) => one.includes(key));
  t.ok(at("rp_filter") < at("arp_ignore") && at("arp_ignore") < at("linkdown"));
  t.ok(at("linkdown") < at("hash_policy") && at("hash_policy") < at("base_reachable"));
  node.order.length = 0;
  settings.apply(WANTED);
  t.same(node.order, [], "the second time there is nothing to do");
  settings.restore();
  t.same(node.order, WANTED.map(name).toReversed());
  t.same([...node.values], other());
});

t.test("Settings go back as they were after a kill at any write, by whichever process comes next", async () => {
  const values = fc.array(fc.constantFrom("0", "1", "2", "7"), { minLength: WANTED.length, maxLength: WANTED.length });
  const kills = fc.array(fc.nat({ max: WANTED.length + 2 }), { maxLength: 4 });
  fc.assert(
    fc.property(values, kills, fc.boolean(), (values, kills, finishes) => {
      const before = WANTED.map((setting, i) => [name(setting), values[i]!] as const);
      const node = new Node(before);
      const place = freshDir();
      const run = (what: "apply" | "restore", writes: number) => {
        node.writes = writes;
        try {
          const settings = new Settings(place, BOOT, node);
          if (what === "apply") settings.apply(WANTED);
          else settings.restore();
        } catch (error) {
          assert.equal((error as Error).message, "killed");
        }
      };
      for (const [i, writes] of kills.entries()) run(i % 3 === 2 ? "restore" : "apply", writes);
      if (finishes) {
        run("apply", Number.POSITIVE_INFINITY);
        for (const setting of WANTED) assert.equal(node.read(setting), setting.value);
      }
      run("restore", Number.POSITIVE_INFINITY);
      assert.deepEqual([...node.values], before);
      assert.equal(existsSync(join(place, "settings.json")), false);
    }),
    { numRuns: 150 },
  );
});

t.test("Settings.restore() leaves what somebody else has changed since", async (t) => {
  const node = new Node(other());
  const settings = new Settings(freshDir(), BOOT, node);
  settings.apply(WANTED);
  node.values.set(name(WANTED[0]!), "1");
  settings.restore();
  t.equal(node.read(WANTED[0]!), "1");
  t.equal(node.read(WANTED[1]!), "7");
});

t.test("Settings know nothing of another boot, which has begun with its own", async (t) => {
  const place = freshDir();
  const node = new Node(other());
  new Settings(place, BOOT, node).apply(WANTED);
  const rebooted = new Node(WANTED.map((setting) => [name(setting), "5"] as const));
  const settings = new Settings(place, "another boot", rebooted);
  settings.restore();
  t.equal(rebooted.read(WANTED[0]!), "5");
  settings.apply(WANTED);
  settings.restore();
  t.equal(rebooted.read(WANTED[0]!), "5");
});

t.test("Settings.apply() goes without what a kernel or link does not have", async (t) => {
  const node = new Node(other().slice(3));
  new Settings(freshDir(), BOOT, node).apply(WANTED);
  t.equal(node.values.size, WANTED.length - 3);
});

t.test("wantedSettings() lets the kernel check neighbours more seldom than they are asked", async (t) => {
  for (const everyMs of [500, 1_000, 5_000]) {
    const base = wantedSettings("eth0", ["r1"], everyMs).find(({ key }) => key.includes("base_reachable"))!;
    t.ok(Number(base.value) >= 3 * everyMs);
  }
});
