import { ADD_STEPS, DEL_STEPS, type Step } from "../../../../cni/steps.ts";
import { cniCall, ifnameOf, type Wanted } from "../support/attachment.ts";
import { type CniReply, codes, type How, type Node, type Vf } from "../support/node.ts";
import type { Random } from "../support/random.ts";
import { Model } from "./model.ts";
import { badSettings, randomSettings } from "./settings.ts";

const KILLED = 128 + 9;
const PODS_AT_ONCE = 3;
const IFNAMES = ["net1", "net2"];

/** One step: in words, what came and what the model said must come. */
export interface Taken {
  readonly what: string;
  readonly found: unknown;
  /** The refusal in words. */
  readonly said?: string;
  readonly wanted: unknown;
}

/** A node, a model of it, and chance. The agent runs; every call comes through it or beside it. */
export class Walk {
  readonly node: Node;
  readonly model = new Model();
  readonly #random: Random;
  readonly #vfs: readonly Vf[];
  /** Everybody who ever asked for something: their DEL may come late, twice or never. */
  readonly #ever: Wanted[] = [];
  #pods = 0;

  constructor(node: Node, vfs: readonly Vf[], random: Random) {
    this.node = node;
    this.#vfs = vfs;
    this.#random = random;
  }

  /** The more often a way is listed, the more often it is gone. */
  readonly #ways: readonly (() => Promise<Taken>)[] = [
    () => this.#add(),
    () => this.#add(),
    () => this.#add(),
    () => this.#del(),
    () => this.#del(),
    () => this.#delTwice(),
    () => this.#check(),
    () => this.#addBad(),
    () => this.#addKilled(),
    () => this.#delKilled(),
    () => this.#addFails(),
    () => this.#delFails(),
    () => this.#race(),
    () => this.#addAndDel(),
    () => this.#gc(),
    () => this.#endPod(),
    () => this.#agentDies(),
    () => this.#reconcile(),
  ];

  async step(): Promise<Taken> {
    while (this.model.pods.length < PODS_AT_ONCE) await this.#beginPod();
    return this.#random.of(this.#ways)();
  }

  /** Ends all there is and was. */
  async end(): Promise<CniReply[]> {
    const replies: CniReply[] = [];
    for (const who of this.#ever) replies.push(await this.node.cni("shim", cniCall("DEL", who)));
    await this.node.ask("ip -all netns del");
    return replies;
  }

  async #beginPod(): Promise<void> {
    const pod = `c${++this.#pods}`;
    await this.node.ask(`ip netns add ${pod}`);
    this.model.beginPod(pod);
  }

  #someone(): Wanted {
    const vf = this.#random.of(this.#vfs);
    const who = {
      pod: this.#random.of(this.model.pods),
      ifname: this.#random.of(IFNAMES),
      vf,
      settings: randomSettings(this.#random, vf),
    };
    this.#ever.push(who);
    return who;
  }

  #how(): How {
    return this.#random.oneIn(3) ? "stand-alone" : "shim";
  }

  /** One who has something, or now and then one who had something once. */
  #owner(): Wanted | undefined {
    const { known } = this.model;
    if (known.length > 0 && !this.#random.oneIn(6)) return this.#random.of(known);
    return this.#ever.length > 0 ? this.#random.of(this.#ever) : undefined;
  }

  async #add(who = this.#someone()): Promise<Taken> {
    const how = this.#how();
    const wanted = this.model.expectAdd(who);
    const reply = await this.node.cni(how, cniCall("ADD", who));
    if (reply.exit === 0) this.model.added(who, reply.json);
    return { what: `ADD ${words(who)} ${how} ${JSON.stringify(who.settings)}`, ...found(reply), wanted };
  }

  async #del(): Promise<Taken> {
    const who = this.#owner();
    if (!who) return this.#add();
    const [how, isGone] = [this.#how(), this.#random.oneIn(3)];
    const reply = await this.node.cni(how, cniCall("DEL", who, isGone ? { netns: "" } : {}));
    if (reply.exit === 0) this.model.deleted(who);
    return { what: `DEL ${words(who)} ${how}${isGone ? " without CNI_NETNS" : ""}`, ...found(reply), wanted: 0 };
  }

  async #delTwice(): Promise<Taken> {
    const who = this.#owner();
    if (!who) return this.#add();
    const replies = [
      await this.node.cni(this.#how(), cniCall("DEL", who)),
      await this.node.cni(this.#how(), cniCall("DEL", who)),
    ];
    this.model.deleted(who);
    return { what: `DEL ${words(who)} twice`, found: codes(...replies), wanted: [0, 0] };
  }

  async #check(): Promise<Taken> {
    const who = this.#owner();
    if (!who) return this.#add();
    const known = this.model.find(who);
    const prevResult = known?.result ?? {
      cniVersion: "1.1.0",
      interfaces: [{ name: ifnameOf(who), sandbox: `/run/netns/${who.pod}` }],
    };
    const asked = known?.wanted ?? who;
    const call = cniCall("CHECK", { ...asked, settings: { ...asked.settings, prevResult } });
    const { exit, json } = await this.node.cni(this.#how(), call);
    const wanted = known ? known.isAlive : false;
    const isUnknown = known?.isAlive && !known.result; // killed before its answer was seen
    return {
      what: `CHECK ${words(who)}${exit ? ` "${json.msg}"` : ""}`,
      found: exit === 0,
      wanted: isUnknown ? exit === 0 : wanted,
    };
  }

  async #addBad(): Promise<Taken> {
    const vf = this.#random.of(this.#vfs);
    const { settings, code, isLate } = badSettings(this.#random, vf);
    const who = { pod: this.#random.of(this.model.pods), ifname: "bad0", vf, settings };
    const wanted = (isLate && this.model.expectAdd(who)) || code;
    const reply = await this.node.cni(this.#how(), cniCall("ADD", who));
    return { what: `ADD ${words(who)} ${JSON.stringify(settings)}`, ...found(reply), wanted };
  }

  async #addKilled(): Promise<Taken> {
    const who = this.#someone();
    const step = this.#random.of(ADD_STEPS);
    const refused = this.model.expectAdd(who);
    await this.node.setFaults(`${step} kill`);
    const reply = await this.node.cni("stand-alone", cniCall("ADD", who), { faulty: true });
    await this.node.setFaults();
    if (!refused) step === "add-locked" ? this.model.addFailed(who) : this.model.addDied(who, step);
    return { what: `ADD ${words(who)} killed after ${step}`, found: reply.exit, wanted: refused ? 1 : KILLED };
  }

  async #delKilled(): Promise<Taken> {
    const who = this.#random.of(this.model.known.length ? this.model.known : [undefined]);
    if (!who) return this.#add();
    const step = this.#random.of(DEL_STEPS);
    await this.node.setFaults(`${step} kill`);
    const reply = await this.node.cni("stand-alone", cniCall("DEL", who), { faulty: true });
    await this.node.setFaults();
    if (reply.exit === 0 || step === "del-forgotten") this.model.deleted(who);
    else this.model.delDied(who, step);
    return { what: `DEL ${words(who)} killed after ${step}`, found: [0, KILLED].includes(reply.exit), wanted: true };
  }

  async #addFails(): Promise<Taken> {
    const who = this.#someone();
    const step = this.#random.of(ADD_STEPS.filter((s) => s !== "add-committed"));
    const wanted = this.model.expectAdd(who) || 100;
    await this.node.setFaults(`${step} fail`);
    const reply = await this.node.cni("shim", cniCall("ADD", who));
    await this.node.setFaults();
    if (wanted === 100) this.#undone(who);
    return { what: `ADD ${words(who)} fails after ${step}`, ...found(reply), wanted };
  }

  /** Its own leftover, if there was one, is ended too. */
  #undone(who: Wanted): void {
    this.model.addFailed(who);
    this.model.deleted(who);
  }

  async #delFails(): Promise<Taken> {
    const who = this.#random.of(this.model.known.length ? this.model.known : [undefined]);
    if (!who) return this.#add();
    const step: Step = this.#random.of(DEL_STEPS);
    await this.node.setFaults(`${step} fail`);
    const reply = await this.node.cni("shim", cniCall("DEL", who));
    await this.node.setFaults();
    if (reply.exit === 0 || step === "del-forgotten") this.model.deleted(who);
    else this.model.delDied(who, step);
    return {
      what: `DEL ${words(who)} fails after ${step}`,
      found: [0, 100].includes(codes(reply)[0] as number),
      wanted: true,
    };
  }

  /** Two want the same VF at the same moment. */
  async #race(): Promise<Taken> {
    const one = this.#someone();
    const other = { ...one, pod: this.#random.of(this.model.pods.filter((pod) => pod !== one.pod)) };
    this.#ever.push(other);
    const wanted = [one, other].map((who) => this.model.expectAdd(who));
    const replies = await Promise.all([one, other].map((who) => this.node.cni(this.#how(), cniCall("ADD", who))));
    const isFree = wanted.includes(0);
    for (const [i, who] of [one, other].entries()) if (replies[i]!.exit === 0) this.model.added(who, replies[i]!.json);
    const sum = (list: unknown[]) => list.filter((code) => code === 0).length;
    return {
      what: `ADD ${words(one)} beside ADD ${words(other)}: ${codes(...replies)}`,
      found: sum(codes(...replies)),
      wanted: isFree ? 1 : 0,
    };
  }

  /** DEL while the ADD still runs; whoever wins, the runtime's next DEL ends it. */
  async #addAndDel(): Promise<Taken> {
    const who = this.#someone();
    const isFree = this.model.expectAdd(who) === 0;
    const [, del] = await Promise.all([
      this.node.cni("shim", cniCall("ADD", who)),
      this.node.cni("shim", cniCall("DEL", who)),
    ]);
    const again = await this.node.cni("shim", cniCall("DEL", who));
    if (isFree) this.model.addFailed(who);
    this.model.deleted(who);
    return { what: `DEL during ADD ${words(who)}`, found: codes(del!, again), wanted: [0, 0] };
  }

  async #gc(): Promise<Taken> {
    const valid = this.model.known.filter(() => !this.#random.oneIn(3));
    const list = valid.map((who) => ({ containerID: who.pod, ifname: ifnameOf(who) }));
    const who = { pod: "none", vf: this.#vfs[0]!, settings: { "cni.dev/valid-attachments": list } };
    const reply = await this.node.cni(this.#how(), cniCall("GC", who));
    if (reply.exit === 0) this.model.collected(valid);
    return { what: `GC but for ${valid.map(words).join(", ") || "nothing"}`, ...found(reply), wanted: 0 };
  }

  async #endPod(): Promise<Taken> {
    const pod = this.#random.of(this.model.pods);
    await this.node.ask(`
      vfs=$(ip -n ${pod} -d -j link | grep -o '"parentdev":"[^"]*"' | cut -d'"' -f4)
      ip netns del ${pod}
      for vf in $vfs; do
        for ((i = 0; i < 250; i++)); do at=(/sys/bus/pci/devices/$vf/net/*); [ ! -e "\${at[0]}" ] || break; sleep 0.02; done
      done`);
    this.model.endPod(pod);
    return { what: `namespace of ${pod} ends`, found: 0, wanted: 0 };
  }

  async #agentDies(): Promise<Taken> {
    await this.node.killAgent();
    await this.node.startAgent();
    return { what: "the agent is killed and starts again", found: 0, wanted: 0 };
  }

  async #reconcile(): Promise<Taken> {
    const said = await this.node.reconcile();
    return { what: `reconcile: ${said.trim().replaceAll("\n", "; ")}`, found: /FAILED/.test(said), wanted: false };
  }
}

const words = (who: Wanted) => `${who.pod}/${ifnameOf(who)} ${who.vf.name}`;
const found = (reply: CniReply) => ({ found: codes(reply)[0] });
