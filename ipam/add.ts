import type { Call } from "../cni/protocol/request.ts";
import type { Result } from "../cni/protocol/result.ts";
import { RecordError } from "../records/failure.ts";
import { Claimer, type Wish } from "./claim.ts";
import { ExhaustedError } from "./exhausted.ts";
import { toCniFailure } from "./failure.ts";
import type { IpamHost } from "./host.ts";
import { ClaimJournal, type ClaimRecord } from "./journal.ts";
import { lockAttachment } from "./lock.ts";
import { release } from "./release.ts";
import { inSetOrder } from "./set-order.ts";
import { sliced } from "./slice.ts";
import type { Store } from "./store/store.ts";
import { type IpamConfig, readIpamConfig } from "./whereabouts/config.ts";
import { exhausted } from "./whereabouts/failure.ts";
import { toResult } from "./whereabouts/result.ts";

/**
 * ADD: one address from every range, all or none. Idempotent: an interface (podref and ifname) that has an address
 * keeps it. Every candidate is on disk before it is claimed, so that it is released whatever happens.
 */
export async function add(call: Call, host: IpamHost): Promise<Result> {
  const config = readIpamConfig(call, host);
  return await inSetOrder(call, config.sameIndex, () => claim(config, call, host));
}

async function claim(config: IpamConfig, call: Call, host: IpamHost): Promise<Result> {
  using _lock = await lockAttachment(call, host);
  const journal = new ClaimJournal(host.stateDir);
  const store = await host.store(config.storage).catch(rethrow);
  const leftover = await finishLeftover(journal.find(call.containerId, call.ifname), store, journal, host);
  host.step("ipam-add-locked");
  const record = newRecord(config, call, host);
  await using undo = new AsyncDisposableStack();
  const claimer = new Claimer(record, store, journal, host);
  undo.defer(() => giveUp(claimer.record, journal, host));
  const ranges = config.slices ? await sliced(config, store, host).catch(rethrow) : config.ranges;
  const ips = await claimer.claimAll(ranges, wish(config, leftover)).catch(rethrow);
  host.signal.throwIfAborted();
  const result = toResult(config, ips, claimer.suspect);
  claimer.hold();
  undo.move();
  host.step("ipam-add-held");
  return result;
}

/** Converts a failure of the store to a CNI error, an exhausted range to Whereabouts' words. */
function rethrow(error: unknown): never {
  throw error instanceof ExhaustedError ? exhausted(error) : toCniFailure(error);
}

/**
 * Handles what an earlier ADD of this attachment left: the addresses of a completed one are kept for this one, everything
 * else is released first.
 */
async function finishLeftover(
  left: ClaimRecord | undefined,
  store: Store,
  journal: ClaimJournal,
  host: IpamHost,
): Promise<ClaimRecord | undefined> {
  if (left && left.phase !== "held") await release(left, store, journal, host).catch(rethrow);
  return left?.phase === "held" ? left : undefined;
}

const wish = ({ asked, fixed, sameIndex }: IpamConfig, leftover: ClaimRecord | undefined): Wish => ({
  asked,
  fixed: fixed.map(({ address }) => address.split("/")[0]!),
  sameIndex,
  kept: leftover?.addresses ?? [],
});

function newRecord(config: IpamConfig, call: Call, host: IpamHost): ClaimRecord {
  const { podref, podUid, storage } = config;
  const { containerId, ifname, netns } = call;
  return {
    version: 1,
    phase: "claiming",
    network: call.config.name,
    ...(call.set && { via: call.set.via }),
    storage,
    owner: { podref, ifname, containerId, node: host.node, ...(podUid && { podUid }) },
    netns,
    netnsInode: host.inode(netns),
    since: new Date().toISOString(),
    addresses: [],
  };
}

/** Releases whatever may have been claimed; if the disk refuses to note that, the record of the candidates is already there. */
async function giveUp(record: ClaimRecord, journal: ClaimJournal, host: IpamHost): Promise<void> {
  if (record.addresses.length === 0) return;
  const { unfinished = "answered" } = record;
  const change = { phase: "releasing", unfinished, since: new Date().toISOString() } as const;
  const releasing: ClaimRecord = { ...record, ...change };
  try {
    journal.update(record, change);
  } catch (error) {
    if (!(error instanceof RecordError)) throw error;
    host.log.warn({ err: error }, "cannot update the journal of addresses");
  }
  await host.releaseSoon(releasing);
}
