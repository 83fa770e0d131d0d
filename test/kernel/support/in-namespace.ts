// What the kernel layer does in a namespace, for tests that cannot import it (bun:ffi). Arguments: a name and its input as
// JSON; prints the outcome as JSON.
import { once } from "node:events";
import { readdirSync } from "node:fs";
import { setTimeout as sleep } from "node:timers/promises";
import { ArpQuestions } from "../../../kernel/arp-questions.ts";
import { EchoQuestions } from "../../../kernel/echo-questions.ts";
import { codeOf } from "../../../kernel/errno.ts";
import { askByIoctl } from "../../../kernel/ethtool-ioctl.ts";
import { listLinks, parseLink } from "../../../kernel/link.ts";
import { announce, probe } from "../../../kernel/neighbour.ts";
import { NetlinkSocket } from "../../../kernel/netlink/socket.ts";
import { hostNetns, inNetns, isOwnNetns, netnsInode, openNetns } from "../../../kernel/netns.ts";
import { nicCountersOf } from "../../../kernel/nic-counters.ts";
import { Fd } from "../../../kernel/syscall.ts";
import { readSysctl, writeSysctl } from "../../../kernel/sysctl.ts";

const AF_PACKET = 17;
const SOCK_RAW = 3;
const ETH_P_ALL_BE = 0x0300;

const names = (): string[] => {
  using socket = new NetlinkSocket();
  return socket.dump(listLinks()).map((body) => parseLink(body).name);
};

/** Frames that come in by a link, from when it says "ready" on standard error to the end of standard input. */
async function sniff({ index }: { index: number }): Promise<string[]> {
  using socket = Fd.socket(AF_PACKET, SOCK_RAW, 0);
  const address = Buffer.alloc(20);
  address.writeUInt16LE(AF_PACKET, 0);
  address.writeUInt16LE(ETH_P_ALL_BE, 2);
  address.writeInt32LE(index, 4);
  socket.option(263, 23, 1); // PACKET_IGNORE_OUTGOING
  socket.bind(address);
  process.stderr.write("ready\n");
  await once(process.stdin.resume(), "end");
  const frames: string[] = [];
  const frame = Buffer.alloc(2048);
  for (let n = socket.tryReceive(frame); n !== undefined; n = socket.tryReceive(frame))
    frames.push(frame.toString("hex", 0, n));
  return frames;
}

function say({
  index,
  mac,
  addresses,
  times = 1,
}: {
  index: number;
  mac: string;
  addresses: string[];
  times?: number;
}) {
  for (let left = times; left > 0; left--) for (const socket of announce(index, mac, addresses)) socket.closeLater();
}

interface Question {
  readonly index: number;
  readonly mac: string;
  readonly ip: string;
  readonly waitMs: number;
  readonly times?: number;
}

async function ask({ index, mac, ip, waitMs, times = 1 }: Question): Promise<string | null> {
  let owner: string | undefined;
  for (let left = times; left > 0 && !owner; left--) {
    using question = probe(index, mac, ip);
    await sleep(waitMs);
    owner = question.owner();
  }
  return owner ?? null;
}

interface Questions {
  readonly index: number;
  readonly own: { readonly ip: string; readonly mac: string };
  readonly targets: readonly { readonly ip: string; readonly mac: string }[];
  readonly ask: readonly number[];
  readonly waitMs: number;
}

/** Which targets answer, by number, and how many questions went. */
async function askAll({ index, own, targets, ask, waitMs }: Questions) {
  using questions = new ArpQuestions(index, own, targets);
  const sent = questions.ask(ask);
  await sleep(waitMs);
  return { sent, answers: [...questions.answers()], later: [...questions.answers()] };
}

interface Echo {
  readonly from: string;
  readonly ask: readonly {
    readonly index: number;
    readonly mac: string;
    readonly ip: string;
    readonly bytes: number;
  }[];
}

/** Who answers which echo request. */
async function echo({ from, ask }: Echo) {
  using questions = new EchoQuestions(from, (bytes) => Buffer.alloc(bytes, 7));
  for (const [number, target] of ask.entries()) questions.ask(number, target);
  await sleep(100);
  return [...questions.answers()];
}

function lookAt({ path }: { path: string }) {
  using netns = openNetns(path);
  return { inode: netnsInode(netns), isOwn: isOwnNetns(netns) };
}

/** A socket that is opened inside, used outside; and the thread's own view before, inside and after. */
function visit({ path }: { path: string }) {
  using netns = openNetns(path);
  const before = names();
  using socket = inNetns(netns, () => new NetlinkSocket());
  const inside = inNetns(netns, names);
  const bySocket = socket.dump(listLinks()).map((body) => parseLink(body).name);
  return { before, inside, bySocket, after: names() };
}

function comeBackAfterThrow({ path }: { path: string }) {
  using netns = openNetns(path);
  const before = names();
  const thrown: string[] = [];
  for (const fn of [() => inNetns(netns, () => 1), () => Fd.open("/no such file")])
    try {
      inNetns(netns, () => void fn());
    } catch (error) {
      thrown.push((error as Error).message);
    }
  return { before, thrown, after: names() };
}

function sysctl({ path, key, ifname, value }: { path: string; key: string; ifname: string; value: string }): string {
  using netns = openNetns(path);
  return inNetns(netns, () => {
    writeSysctl(key, value, { ifname });
    return readSysctl(key, { ifname });
  });
}

const nicCounters = ({ link }: { link: string }) => nicCountersOf(link, askByIoctl, () => true);

const scenarios = { nicCounters, sniff, say, ask, askAll, echo, lookAt, visit, comeBackAfterThrow, sysctl };
export type Scenarios = typeof scenarios;

const [name, input] = process.argv.slice(2) as [keyof Scenarios, string];
const openFiles = () => readdirSync("/proc/self/fd").length;
names();
hostNetns(); // a thread keeps it open, for the way back
const before = openFiles();
let outcome: object;
try {
  outcome = { value: (await scenarios[name](JSON.parse(input) as never)) ?? null };
} catch (error) {
  outcome = { error: { code: codeOf(error), message: (error as Error).message } };
}
for (let i = 0; i < 50 && openFiles() > before; i++) await sleep(10); // closeLater
console.log(JSON.stringify({ ...outcome, leaked: openFiles() - before }));
