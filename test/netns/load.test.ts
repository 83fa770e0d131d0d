import { rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import t from "tap";
import { type Attachment, cniEnv, type Verb } from "../../lab/netns/call.ts";
import { type AgentReply, ask } from "../../lab/netns/client.ts";
import { VFIO } from "../../lab/netns/devices.ts";
import { unchanged } from "../../lab/netns/unchanged.ts";
import { World } from "../../lab/netns/world.ts";
import { attachmentKey } from "../../records/record-files.ts";

const world = await World.create({ vfs: 8 });
t.teardown(() => world.close());
const pods = [await world.pod(), await world.pod()];
const socket = join(world.runDir, "agent.sock");

/** ADD and DEL of one attachment each, as many at once as there are VFs. */
const CYCLES = 1000;
const AT_ONCE = world.vfs.length;

/**
 * Garbage collection makes a sawtooth of 15 MB: compared is its floor at the beginning and at the end. The heap is not
 * done growing by then: over 12,000 cycles it stayed between 80 and 100 MB, without a trend after the first 5,000.
 */
const WINDOW = 20;
const GROWTH_MB = 15;
/** One kernel thread for each of the two PFs, and the common one. */
const LIMIT_MB = 110;

/** Calls in which the heap finds its size, of a VF without a link: they are quick, since no namespace is involved. */
const WARM_UP = 1000;

const STATIC = (last: number) => ({ type: "static", addresses: [{ address: `10.20.${last}.5/24` }] });

const call = (verb: Verb, a: Attachment): Promise<AgentReply> =>
  ask(socket, cniEnv(verb, a, world.cniBin), JSON.stringify(a.config));

/** Attaches all and detaches them. @returns the replies that are errors. */
async function cycle(all: readonly Attachment[]): Promise<string[]> {
  const added = await Promise.all(all.map((a) => call("ADD", a)));
  const deleted = await Promise.all(all.map((a) => call("DEL", a)));
  return [...added, ...deleted].filter(({ exit }) => exit !== 0).map(({ stdout }) => stdout);
}

/** One attachment of every VF. */
const everyVf = (): Attachment[] =>
  world.vfs.map(({ pci: deviceID }, i) =>
    world.attachment(pods[i % 2]!, { deviceID, ipam: STATIC(i), sourceRules: true }, { ifname: `net${i}` }),
  );

t.test(`railnet agent is no larger after ${CYCLES} cycles, ${AT_ONCE} at once`, (t) =>
  unchanged(t, world, "shim", async () => {
    const agent = await world.agent();
    const unlinked = () => world.attachment(pods[0]!, { deviceID: VFIO, ipam: STATIC(1) });
    for (let done = 0; done < WARM_UP; done++) await cycle([unlinked()]);
    for (let done = 0; done < WARM_UP; done += AT_ONCE) t.same(await cycle(everyVf()), []); // each PF has its thread
    const descriptors: number[] = [];
    const mb: number[] = [];
    for (let done = 0; done < CYCLES; done += AT_ONCE) {
      t.same(await cycle(everyVf()), []);
      descriptors.push(agent.descriptors());
      mb.push(agent.residentMb());
    }
    const floor = (samples: number[]) => [Math.min(...samples.slice(0, WINDOW)), Math.min(...samples.slice(-WINDOW))];
    const [fewBefore, fewAfter] = floor(descriptors);
    const [before, after] = floor(mb);
    t.comment(
      `resident at most ${Math.max(...mb).toFixed(1)} MB, floor ${before!.toFixed(1)}, then ${after!.toFixed(1)}`,
    );
    t.ok(fewAfter! <= fewBefore!, `descriptors: ${fewBefore}, then ${fewAfter}`);
    t.ok(after! <= before! + GROWTH_MB, `resident: ${before!.toFixed(1)} MB, then ${after!.toFixed(1)} MB`);
  }),
);

t.test(`railnet agent needs at most ${LIMIT_MB} MB with 1,000 attachments in its journal`, (t) =>
  unchanged(t, world, "shim", async () => {
    // Of VFs without links, since these need no pod to be taken for alive.
    const a = world.attachment(pods[0]!, { deviceID: VFIO });
    t.equal((await world.call("shim", "ADD", a)).exit, 0);
    const [own] = world.records();
    const record = world.record(own);
    const copies = Array.from({ length: 999 }, (_, i) => {
      const pci = `0001:${(i >> 5).toString(16).padStart(2, "0")}:${(i & 31).toString(16).padStart(2, "0")}.0`;
      const containerId = `${i}`.padStart(64, "0");
      return { ...record, containerId, device: { pci }, file: `${attachmentKey(containerId, a.ifname)}@${pci}.json` };
    });
    const fileOf = (name: string) => join(world.stateDir, "attachments", name);
    for (const { file, ...copy } of copies) writeFileSync(fileOf(file), JSON.stringify(copy));
    await world.restartAgent();
    const agent = await world.agent();
    t.same(await cycle(everyVf()), [], "it works as ever");
    t.equal(world.records().length, 1000, "and has left all of them alone");
    const mb = agent.residentMb();
    t.comment(`${mb.toFixed(1)} MB resident`);
    t.ok(mb <= LIMIT_MB, `${mb.toFixed(1)} MB`);
    for (const { file } of copies) rmSync(fileOf(file));
    t.equal((await world.call("shim", "DEL", a)).exit, 0);
  }),
);
