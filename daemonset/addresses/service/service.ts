import type { Log, Paths } from "../../../cni/host.ts";
import { dispatch } from "../../../cni/protocol/dispatch.ts";
import { CniError, CODE } from "../../../cni/protocol/error.ts";
import type { Call, CniRequest, CniResponse } from "../../../cni/protocol/request.ts";
import type { Result } from "../../../cni/protocol/result.ts";
import type { IpamHost, NodePolicy } from "../../../ipam/host.ts";
import { ClaimJournal } from "../../../ipam/journal.ts";
import { createIpamHost } from "../../../ipam/node-host.ts";
import { ipam } from "../../../ipam/plugin.ts";
import type { IpamStep } from "../../../ipam/steps.ts";
import type { Storage } from "../../../ipam/storage.ts";
import type { Store } from "../../../ipam/store/store.ts";
import { attachmentKey } from "../../../records/record-files.ts";
import { type IpamReply, replyOf } from "../../ipam-reply.ts";
import { Releases } from "./releases.ts";

export interface AddressServiceOptions {
  readonly paths: Paths;
  readonly policy: NodePolicy;
  readonly log: Log;
  readonly step?: (step: IpamStep) => void;
  /** After this time a request that was never answered cannot arrive any more. Default {@link SETTLE_MS}. */
  readonly settleMs?: number;
  /** Called once for each storage; what it opens lives as long as the agent. */
  open(storage: Storage): Promise<Store>;
}

/** The IPAM plugin in the agent's main thread: one store for each storage, one queue of releases. */
export class AddressService {
  readonly host: IpamHost;
  readonly journal: ClaimJournal;
  readonly releases: Releases;
  readonly #stores = new Map<string, Promise<Store>>();
  readonly #adding = new Map<string, AbortController>();
  readonly #log: Log;

  constructor({ paths, policy, log, step, settleMs, open }: AddressServiceOptions) {
    this.#log = log;
    this.journal = new ClaimJournal(paths.stateDir);
    this.host = createIpamHost({
      paths,
      policy,
      log,
      ...(step && { step }),
      store: (storage) => this.#store(storage, open),
      releaseSoon: async (record) => this.releases.add(record),
      wasReleased: (containerId, ifname) => this.releases.wasReleased(containerId, ifname),
    });
    this.releases = new Releases(this.journal, this.host, settleMs);
  }

  /** One call of the IPAM plugin. */
  answer(request: CniRequest, signal: AbortSignal): Promise<CniResponse> {
    return this.#inTurn(request, signal, (host) => dispatch(ipam, request, () => host));
  }

  /** One call of the IPAM plugin by the attach plugin. Never rejects. */
  reply(call: Call, signal: AbortSignal): Promise<IpamReply> {
    return this.#inTurn(call.request, signal, (host) => replyOf(run(call, host)));
  }

  /** DEL wins over a running ADD of the same attachment, as in the attach plugin. */
  async #inTurn<T>(request: CniRequest, signal: AbortSignal, work: (host: IpamHost) => Promise<T>): Promise<T> {
    const { CNI_COMMAND: verb, CNI_CONTAINERID: containerId = "", CNI_IFNAME: ifname = "" } = request.env;
    const key = attachmentKey(containerId, ifname);
    if (verb === "DEL")
      this.#adding
        .get(key)
        ?.abort(new CniError(CODE.TRY_AGAIN_LATER, "cannot finish ADD: DEL of the same attachment came"));
    const abort = new AbortController();
    if (verb === "ADD") this.#adding.set(key, abort);
    const step = (done: IpamStep) => {
      this.#log.debug({ containerID: containerId, ifname, step: done }, "step");
      this.host.step(done);
    };
    try {
      return await work({ ...this.host, step, signal: AbortSignal.any([signal, abort.signal]) });
    } finally {
      if (this.#adding.get(key) === abort) this.#adding.delete(key);
    }
  }

  /** A storage that could not be opened is tried again by the next call. */
  #store(storage: Storage, open: (storage: Storage) => Promise<Store>): Promise<Store> {
    const key = JSON.stringify(storage);
    const known = this.#stores.get(key);
    if (known) return known;
    const opening = open(storage);
    this.#stores.set(key, opening);
    opening.catch(() => this.#stores.delete(key));
    return opening;
  }
}

const run = async (call: Call, host: IpamHost): Promise<Result | undefined> =>
  (await ipam.verbs[call.verb]?.(call, host)) ?? undefined;
