// The stand-alone railnet-ipam with its addresses in a directory dies by kill -9 between any two of its changes to the disk:
// not at steps that it names itself, but at each system call. The files are read by the test alone.
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import t from "tap";
import { AddressHost } from "../../lab/netns/address-host.ts";
import { judge, SCENES } from "../../lab/netns/address-scenes.ts";
import { type Death, Killer } from "../../lab/netns/die-at.ts";

const root = mkdtempSync(join(tmpdir(), "railnet-walk-"));
t.teardown(() => rmSync(root, { recursive: true }));
const killer = new Killer(root);
const lived = ({ before }: Death) => before === "nothing";

for (const [what, scene] of Object.entries(SCENES))
  t.test(`railnet-ipam is killed anywhere in ${what}`, async (t) => {
    using host = new AddressHost(root);
    for (const one of scene.there) await host.call("ADD", one);
    const bringBack = host.keep();
    const seen = new Set<string>();
    for (let nth = 1; ; nth++) {
      bringBack();
      const death = await host.killed(killer, nth, ...scene.call);
      if (lived(death)) break;
      t.equal(death.exit, 137);
      const left = host.picture();
      if (!seen.has(left)) await judge(t, host, scene, `killed before change ${nth}, ${death.before}`);
      seen.add(left);
    }
    t.ok(seen.size >= 5, `${seen.size} states of the disk`);
  });
