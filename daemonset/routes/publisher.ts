import { isDeepStrictEqual } from "node:util";
import type { Log } from "../../cni/host.ts";
import { ApiError, type Cluster } from "../../kubernetes/cluster.ts";
import { RAIL_PEERS, type RailPeer, type RailPeerSpec } from "./object.ts";
import type { OwnObjects } from "./peers-follower.ts";

export interface PublisherOptions {
  readonly cluster: Pick<Cluster, "create" | "mergePatch" | "delete">;
  readonly node: string;
  readonly log: Log;
}

/** Keeps this node's RailPeer as its identity is. Each write is for as many watchers as there are nodes: only what differs is written. */
export class Publisher {
  readonly #options: PublisherOptions;

  constructor(options: PublisherOptions) {
    this.#options = options;
  }

  /**
   * @param identity undefined: there is to be none.
   * @returns whether it is so now; false: to be tried again.
   */
  async publish(identity: RailPeerSpec | undefined, { nodeUid, published }: OwnObjects): Promise<boolean> {
    const { log, node } = this.#options;
    if (isDeepStrictEqual(published?.spec, identity)) return true;
    try {
      await this.#write(identity, nodeUid, published);
      log.info({ node, identity }, identity ? "this node's RailPeer is written" : "this node's RailPeer is deleted");
      return true;
    } catch (err) {
      if (err instanceof ApiError && [404, 409].includes(err.status)) return false; // somebody was faster; the watch tells
      log.warn({ err }, "this node's RailPeer is not as it should be; it is tried again");
      return false;
    }
  }

  async #write(identity: RailPeerSpec | undefined, uid: string, published: RailPeer | undefined): Promise<void> {
    const { cluster, node } = this.#options;
    if (!identity) await cluster.delete(RAIL_PEERS, node);
    else if (published) await cluster.mergePatch<RailPeer>(RAIL_PEERS, node, { spec: identity });
    else await cluster.create<RailPeer>(RAIL_PEERS, born(node, uid, identity));
  }
}

const born = (name: string, uid: string, spec: RailPeerSpec): RailPeer => ({
  apiVersion: `${RAIL_PEERS.group}/${RAIL_PEERS.version}`,
  kind: RAIL_PEERS.kind,
  metadata: { name, ownerReferences: [{ apiVersion: "v1", kind: "Node", name, uid }] },
  spec,
});
