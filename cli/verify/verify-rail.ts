import { setTimeout as sleep } from "node:timers/promises";
import { findDevice } from "../../cni/attachment/device.ts";
import { linkNamed } from "../../cni/attachment/link-at.ts";
import { snapshot } from "../../cni/attachment/pf.ts";
import { planRdma } from "../../cni/attachment/rdma.ts";
import { readConfig } from "../../cni/config.ts";
import type { Host } from "../../cni/host.ts";
import { toCniError } from "../../cni/protocol/error.ts";
import { type Call, readRequest } from "../../cni/protocol/request.ts";
import { formatResult, type Result } from "../../cni/protocol/result.ts";
import { probe } from "../../kernel/neighbour.ts";
import { NetlinkSocket } from "../../kernel/netlink/socket.ts";
import { inNetns, makeNetns } from "../../kernel/netns.ts";
import type { Fd } from "../../kernel/syscall.ts";
import type { RailToVerify } from "./rails.ts";

/** What became of a rail. */
export interface RailVerdict {
  readonly rail: string;
  readonly pf: string;
  readonly vf?: string;
  /** How long each took. */
  readonly ms: Partial<Record<Part, number>>;
  /** Of the ADD, each step of it. */
  readonly addMs: Readonly<Record<string, number>>;
  /** What was left out, and why. */
  readonly skipped?: string;
  /** What is wrong; absent: nothing. */
  readonly why?: string;
}

export type Part = "ADD" | "ready" | "CHECK" | "ping" | "DEL";

const IFNAME = "verify0";
/** For tests of networks, RFC 2544: on no rail, whatever its subnet. */
const addressOf = (index: number, which: number): string => `198.18.${index & 255}.${which + 1}`;
const PING_MS = 100;
const PINGS = 10;

/** A VF in a namespace of its own, which ends with this process: the agent's reconciler then brings the VF home by its record. */
interface Attached {
  readonly call: Call;
  readonly netns: Fd;
  readonly result: Result;
}

/**
 * Proves a rail with one free VF: ADD, with the wait for RDMA, CHECK, a question by ARP to a second one, DEL, and all as before.
 *
 * @param host whose step() tells `steps` how far an ADD is.
 */
export async function verifyRail(rail: RailToVerify, index: number, host: Host, steps: AddSteps): Promise<RailVerdict> {
  const { rail: name, pf, vfs } = rail;
  const [vf, other] = vfs;
  const head = { rail: name, pf, ...(vf && { vf }) };
  if (vf === undefined) return { ...head, ms: {}, addMs: {}, why: "no VF is free: all are taken, or there is none (railnet status)" }; // biome-ignore format: one row
  const ms: Partial<Record<Part, number>> = {};
  const timed = async <T>(part: Part, work: () => Promise<T>): Promise<T> => {
    const began = performance.now();
    try {
      return await work();
    } finally {
      ms[part] = performance.now() - began;
    }
  };
  let addMs: Record<string, number> = {};
  let skipped: string | undefined;
  const wrong: string[] = [];
  const attached: Attached[] = [];
  try {
    const before = await pictureOf(vf, rail, host);
    steps.begin();
    try {
      attached.push(await timed("ADD", () => attach(rail, vf, index, 0, host)));
      addMs = steps.end();
      ms.ready = addMs["add-device-info-written"] ?? 0;
      await timed("CHECK", () => check(attached[0]!, host));
      if (other === undefined) skipped = "ping: no second VF is free";
      else {
        attached.push(await attach(rail, other, index, 1, host));
        await timed("ping", () => ping(attached[0]!.netns, addressOf(index, 1)));
      }
    } catch (error) {
      wrong.push(toCniError(error).message);
    }
    for (const one of attached.toReversed())
      await timed("DEL", () => detach(one, host)).catch((error) => wrong.push(toCniError(error).message));
    const after = await pictureOf(vf, rail, host);
    wrong.push(...differences(before, after));
  } catch (error) {
    wrong.push(toCniError(error).message);
  } finally {
    for (const { netns } of attached) netns[Symbol.dispose]();
  }
  return { ...head, ms, addMs, ...(skipped && { skipped }), ...(wrong.length > 0 && { why: wrong.join("; ") }) };
}

/** How long each step of an ADD took; to be told of all steps. */
export class AddSteps {
  #lastMs = 0;
  #ms: Record<string, number> = {};

  begin(): void {
    this.#lastMs = performance.now();
    this.#ms = {};
  }

  readonly step = (step: string): void => {
    const now = performance.now();
    if (step.startsWith("add-")) this.#ms[step] = now - this.#lastMs;
    this.#lastMs = now;
  };

  end(): Record<string, number> {
    return this.#ms;
  }
}

function callOf(verb: "ADD" | "DEL" | "CHECK", { rail, config }: RailToVerify, vf: string, address: string, netns: Fd) {
  const network = { cniVersion: "1.1.0", name: `verify-${rail}`, type: "railnet-sriov", ...config, deviceID: vf };
  return readRequest({
    name: "railnet-sriov",
    env: {
      CNI_COMMAND: verb,
      CNI_CONTAINERID: `railnet-verify-${process.pid}-${vf.replaceAll(":", "-")}`,
      CNI_NETNS: `/proc/${process.pid}/fd/${netns.n}`,
      CNI_IFNAME: IFNAME,
      CNI_PATH: "/opt/cni/bin",
    },
    stdin: JSON.stringify({ ...network, ipam: { type: "static", addresses: [{ address: `${address}/24` }] } }),
  });
}

/** Past the check of whose pod it is: there is none, and root asks. */
async function attach(rail: RailToVerify, vf: string, index: number, which: number, host: Host): Promise<Attached> {
  const netns = makeNetns();
  try {
    const call = callOf("ADD", rail, vf, addressOf(index, which), netns);
    const { add } = await import("../../cni/add.ts");
    return { call, netns, result: await add(call, host) };
  } catch (error) {
    netns[Symbol.dispose]();
    throw error;
  }
}

async function check({ call, result }: Attached, host: Host): Promise<void> {
  const { check } = await import("../../cni/check.ts");
  const prevResult = formatResult(result, "1.1.0");
  const config = { ...call.config, prevResult };
  await check({ ...call, verb: "CHECK", prevResult: result, config } as Call, host);
}

async function detach({ call }: Attached, host: Host): Promise<void> {
  const { del } = await import("../../cni/del.ts");
  await del({ ...call, verb: "DEL" }, host);
}

/** By ARP, so that no other packet filter than the NIC's own answers. */
async function ping(netns: Fd, address: string): Promise<void> {
  using rtnl = inNetns(netns, () => new NetlinkSocket());
  const { index, mac } = linkNamed(rtnl, IFNAME)!;
  for (let left = PINGS; left > 0; left--) {
    using asked = inNetns(netns, () => probe(index, mac, address));
    for (let waited = 0; waited < PING_MS; waited += 5) {
      if (asked.owner()) return;
      await sleep(5);
    }
  }
  throw new Error(
    `a second VF of the rail does not answer ARP within ${(PING_MS * PINGS) / 1000} s: has the PF carrier, and do its VFs see each other (VEB, spoof check, VLAN)?`,
  );
}

/** All that DEL gives back: as ADD records it, link and settings at the PF. */
async function pictureOf(vf: string, { config }: RailToVerify, host: Host): Promise<Record<string, unknown>> {
  const network = { cniVersion: "1.1.0", name: "verify", type: "railnet-sriov", ...config, deviceID: vf };
  const call = { config: network, args: {}, request: { name: "railnet-sriov", env: {}, stdin: "" } };
  const asked = readConfig(call as unknown as Call);
  const device = findDevice(asked, host);
  const { original } = await snapshot(device, asked, await planRdma(vf, asked.rdma, host), host);
  return { ...original };
}

function differences(before: Record<string, unknown>, after: Record<string, unknown>): string[] {
  const keys = [...new Set([...Object.keys(before), ...Object.keys(after)])];
  return keys
    .filter((key) => JSON.stringify(before[key]) !== JSON.stringify(after[key]))
    .map((key) => `after DEL ${key} is ${JSON.stringify(after[key])}, was ${JSON.stringify(before[key])}`);
}
