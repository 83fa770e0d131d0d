// A VF that its node takes down and lets up again, as each driver lets it.
import t from "tap";
import type { Attachment } from "../../../cni/attachment/record.ts";
import { DoubleNode, type Pod } from "./support/node.ts";
import { PROFILES, type Profile } from "./support/profiles.ts";

const { obey } = await import("../../../cni/attachment/fence.ts");
const { Journal } = await import("../../../cni/attachment/journal.ts");

t.setTimeout(600_000); // on a busy machine

class Scene implements Disposable {
  readonly node: DoubleNode;
  readonly pod: Pod;
  readonly before: ReturnType<DoubleNode["picture"]>;
  readonly config: object;

  constructor(profile: Profile, config: object = {}) {
    this.node = new DoubleNode(profile);
    this.before = this.node.picture();
    this.pod = this.node.pod();
    this.config = config;
  }

  static async of(profile: Profile, config: object = {}): Promise<Scene> {
    const scene = new Scene(profile, config);
    await scene.node.add(scene.pod, config);
    scene.node.settle();
    return scene;
  }

  to(to: "fenced" | "lifted") {
    return obey({ containerId: this.pod.id, ifname: "net1", to }, this.node.host);
  }

  get passes(): boolean {
    this.node.settle();
    return this.node.nic.passes(this.node.vf());
  }

  get record(): Attachment {
    return new Journal(this.node.host.paths.stateDir).find(this.pod.id, "net1")!;
  }

  get routes(): number {
    return this.pod.namespace.routes.length;
  }

  async del(): Promise<void> {
    await this.node.del(this.pod, this.config);
    this.node.settle();
  }

  [Symbol.dispose](): void {
    this.node[Symbol.dispose]();
  }
}

for (const [name, profile] of Object.entries(PROFILES) as [string, Profile][]) {
  const isAtPf = profile.linkState !== "no op" && profile.closesMailbox.length === 0;

  t.test(`${name}: a fenced VF sends nothing, and does again when it is lifted`, async (t) => {
    using scene = await Scene.of(profile);
    const applied = scene.record.applied;
    const routes = scene.routes;
    t.equal(scene.passes, true);
    t.equal(await scene.to("fenced"), "done");
    t.equal(scene.passes, false);
    t.match(scene.record.fenced, { at: isAtPf ? "PF" : "pod" });
    t.equal(await scene.to("fenced"), "done", "again");
    if (!isAtPf) scene.pod.namespace.routes = []; // as the kernel does it when a link goes down
    t.equal(await scene.to("lifted"), "done");
    t.equal(scene.passes, true);
    t.equal(scene.record.fenced, null);
    t.same(scene.record.applied, applied, "the record is as ADD left it");
    t.equal(scene.routes, routes);
    await scene.del();
    t.same(scene.node.picture(), scene.before);
  });

  t.test(`${name}: DEL of a fenced VF leaves it as before ADD`, async (t) => {
    for (const config of [{}, { mac: "02:66:00:00:00:01", vlan: 7, trust: "on" }]) {
      using scene = await Scene.of(profile, config);
      await scene.to("fenced");
      await scene.del();
      const { state, ...rest } = scene.node.picture();
      t.match({ ...rest, linkState: state.linkState, vlan: state.vlan }, { isHome: true, up: scene.before.up, linkState: scene.before.state.linkState, vlan: 0 }); // biome-ignore format: one row
      const next = scene.node.pod();
      await scene.node.add(next, {});
      t.equal(scene.passes, true, "the next pod's VF is not fenced");
    }
  });
}

t.test("a link state that ADD set comes back", async (t) => {
  using scene = await Scene.of(PROFILES.mlx5, { link_state: "enable" });
  await scene.to("fenced");
  t.same(scene.record.fenced, { at: "PF" });
  t.equal(scene.node.vf().state.linkState, "disable");
  await scene.to("lifted");
  t.equal(scene.node.vf().state.linkState, "enable");
  await scene.del();
  t.same(scene.node.picture(), scene.before);
});

t.test("a process that dies between record and kernel leaves it to the next one", async (t) => {
  const noted = (a: Attachment): Attachment => ({ ...a, fenced: { at: "PF", addsLinkState: true }, applied: { ...a.applied, linkState: "auto" } }); // biome-ignore format: one row
  for (const next of ["fenced", "lifted", "DEL"] as const)
    for (const isDone of [false, true]) {
      using scene = await Scene.of(PROFILES.mlx5);
      scene.node.editRecord(noted);
      if (isDone) scene.node.nic.set(0, { linkState: "disable" });
      if (next !== "DEL") t.equal(await scene.to(next), "done");
      if (next === "lifted") t.equal(scene.passes, true);
      if (next === "fenced") t.equal(scene.passes, false);
      await scene.del();
      t.same(scene.node.picture(), scene.before, `${next} ${isDone ? "after" : "before"} the kernel`);
    }
});

t.test("a pod that sets its link up again is taken down at the next look", async (t) => {
  using scene = await Scene.of(PROFILES.ixgbe);
  await scene.to("fenced");
  scene.node.nic.setUp(scene.node.vf(), true);
  t.equal(scene.passes, true);
  await scene.to("fenced");
  t.equal(scene.passes, false);
});

t.test("what is not there, not this boot's, or being worked on is left alone", async (t) => {
  using scene = await Scene.of(PROFILES.mlx5);
  const { host } = scene.node;
  t.equal(await obey({ containerId: "none", ifname: "net1", to: "fenced" }, host), "gone");
  t.equal(await obey({ containerId: scene.pod.id, ifname: "net1", to: "fenced" }, { ...host, bootId: "another" }), "gone"); // biome-ignore format: one row
  const { tryLockAttachment } = await import("../../../cni/attachment/exclusion.ts");
  using lock = tryLockAttachment({ containerId: scene.pod.id, ifname: "net1" }, host);
  t.ok(lock);
  t.equal(await scene.to("fenced"), "busy");
  t.equal(scene.passes, true);
});

t.test("CHECK of a fenced VF says so", async (t) => {
  using scene = new Scene(PROFILES.mlx5);
  const result = await scene.node.add(scene.pod, {});
  await scene.to("fenced");
  await t.rejects(scene.node.check(scene.pod, {}, result), { message: /it is down: its node lost the API server/ });
});
