// When a node's routes go on and off, and what it publishes meanwhile; the thread and the API server are doubles.
import t from "tap";
import { RouteKeeper } from "../../../daemonset/routes/keeper.ts";
import type { RailPeerSpec } from "../../../daemonset/routes/object.ts";
import type { RoutesOrder, RoutesReport } from "../../../daemonset/routes/order.ts";
import type { OwnObjects } from "../../../daemonset/routes/peers-follower.ts";
import type { Publisher } from "../../../daemonset/routes/publisher.ts";
import type { RoutesThread } from "../../../daemonset/routes/thread.ts";

const IDENTITY: RailPeerSpec = { primary: "10.99.0.1", rails: [] };

/** A keeper in virtual time. */
class Scene {
  nowMs = 0;
  isOn = true;
  isLeft = false;
  /** What happened, in order. */
  readonly did: string[] = [];
  readonly keeper: RouteKeeper;
  #tell: (identity: RailPeerSpec | undefined) => void = () => {};
  #own: OwnObjects = { nodeUid: "u", published: undefined };

  constructor(primary = "10.99.0.1") {
    this.keeper = new RouteKeeper({
      node: "node-a",
      networks: () => [{ name: "n", rails: [], nodes: { routes: this.isOn } }],
      rails: () => [],
      seen: { primary, isControlPlane: false, peers: [] },
      open: (onIdentity) => {
        this.did.push("open");
        this.#tell = onIdentity;
        return this.#thread() as unknown as RoutesThread;
      },
      isLeft: () => this.isLeft,
      log: { debug() {}, info() {}, warn() {} },
      nowMs: () => this.nowMs,
    });
  }

  #thread() {
    return {
      follow: (order: RoutesOrder | undefined) => {
        this.did.push(order ? "follow" : "put back");
        this.isLeft = order !== undefined;
        if (order) this.#tell(IDENTITY);
      },
      report: async () => ({}) as RoutesReport,
      terminate: () => this.did.push("terminate"),
    };
  }

  hear(canWrite = true): void {
    const publish = async (identity: RailPeerSpec | undefined) => {
      if (canWrite) this.did.push(identity ? "publish" : "delete");
      return canWrite;
    };
    this.keeper.heard({ primary: "10.99.0.1", isControlPlane: false, peers: [] }, this.#own, { publish } as unknown as Publisher); // biome-ignore format: one row
  }

  async until(ms: number): Promise<void> {
    for (; this.nowMs < ms; this.nowMs += 2_000) await this.keeper.look();
  }
}

t.test("RouteKeeper publishes once the thread says who this node is, and no sooner than it settles", async (t) => {
  const scene = new Scene();
  scene.hear();
  await scene.until(2_000);
  t.same(scene.did, ["open", "follow"]);
  await scene.until(30_000);
  t.same(scene.did, ["open", "follow", "publish"]);
});

t.test("RouteKeeper deletes the RailPeer first, and puts all back when the others have heard", async (t) => {
  const scene = new Scene();
  scene.hear();
  await scene.until(30_000);
  scene.did.length = 0;
  scene.isOn = false;
  await scene.until(33_000);
  t.same(scene.did, ["delete"]);
  await scene.until(60_000);
  t.same(scene.did, ["delete", "put back", "terminate"]);
  t.equal(await scene.keeper.report(), undefined);
});

t.test("RouteKeeper waits no longer than half a minute for an API server that takes nothing", async (t) => {
  const scene = new Scene();
  scene.hear();
  await scene.until(30_000);
  scene.did.length = 0;
  scene.hear(false);
  scene.isOn = false;
  await scene.until(90_000);
  t.same(scene.did, ["put back", "terminate"]);
});

t.test("RouteKeeper puts back what an agent before it has left, where they are off by now", async (t) => {
  const scene = new Scene();
  scene.isOn = false;
  scene.isLeft = true;
  await scene.until(40_000);
  t.same(scene.did, ["open", "put back", "terminate"]);
});

t.test(
  "RouteKeeper touches nothing while it is not known who this node is, and opens no thread where nobody asks",
  async (t) => {
    const unknown = new Scene("");
    unknown.isLeft = true;
    await unknown.until(60_000);
    t.same(unknown.did, []);
    const off = new Scene();
    off.isOn = false;
    await off.until(60_000);
    t.same(off.did, []);
  },
);
