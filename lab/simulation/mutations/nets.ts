import type { Mutation } from "./mutation.ts";

/** Of what collects and puts back. */
export const NETS: readonly Mutation[] = [
  {
    name: "a collection without its second look",
    file: "daemonset/addresses/plan-gc.ts",
    from: "if (isUnchanged && nowMs - sinceMs >= graceMs)",
    to: "if (nowMs - sinceMs < graceMs || isUnchanged)",
  },
  {
    name: "the node's collection does not ask about the pod",
    file: "daemonset/addresses/node/gc-node.ts",
    from: "if (uid && (!podUid || podUid === uid)) return;",
    to: "",
  },
  {
    name: "the node's collection does not look at sandboxes",
    file: "daemonset/addresses/node/gc-node.ts",
    from: 'return alive.has(containerId) || (record?.owner.containerId === containerId && record.phase === "releasing");',
    to: 'return alive.has("") || (record?.owner.containerId === containerId && record.phase === "releasing");',
  },
  {
    name: "the node's collection does not lock the attachment",
    file: "daemonset/addresses/node/gc-node.ts",
    from: "using _lock = await this.#sandboxes.lock(due.reserved);",
    to: "",
  },
  {
    name: "no node collects",
    file: "daemonset/addresses/node/node-work.ts",
    from: 'repeat("node gc", { ...time, everyMs: own.lookMs }, async () => gc.look(await own.reserved(), signal)),',
    to: "",
  },
  {
    name: "records of nothing stay in the journal",
    file: "daemonset/addresses/node/gc-node.ts",
    from: "if (before.has(key) && nowMs - sinceMs >= this.#graceMs) await this.#sandboxes.end(record);",
    to: "if (before.has(key) && nowMs < 0) await this.#sandboxes.end(record);",
    profiles: ["power", "rough"],
  },
  {
    name: "a pod of another UID is the same",
    file: "daemonset/addresses/evidence.ts",
    from: "if (podUid && uid !== podUid) return",
    to: 'if (podUid && uid === "") return',
  },
  {
    name: "a finished pod needs its address",
    file: "daemonset/addresses/evidence.ts",
    from: 'return phase === "Succeeded" || phase === "Failed" ?',
    to: 'return phase === "Failed" ?',
    profiles: ["power", "rough"],
  },
  {
    name: "no leader collects",
    file: "daemonset/addresses/leader/leader.ts",
    from: 'repeat("gc", time, () => gc.look(reservations.objects.values(), signal)),',
    to: "",
    profiles: ["silence"],
  },
  {
    name: "a node is silent at once",
    file: "daemonset/addresses/leader/gone-nodes.ts",
    from: "const SILENT_GRACES = 6;",
    to: "const SILENT_GRACES = 0;",
    profiles: ["silence"],
  },
  {
    name: "what is put back is not asked about again",
    file: "daemonset/addresses/heal.ts",
    from: "  if (!isStillHeld()) {\n    await cluster.delete",
    to: '  if (!isStillHeld() && uid === "-") {\n    await cluster.delete',
    profiles: ["hand"],
  },
  {
    name: "nothing is put back when it is deleted",
    file: "daemonset/addresses/node/heal-node.ts",
    from: "void this.onDeleted(reserved, signal, isTold);",
    to: "void isTold;",
    profiles: ["hand"],
  },
  {
    name: "no sweep puts back",
    file: "daemonset/addresses/node/node-work.ts",
    from: 'repeat("node heal", time, () => healing.sweep(has, signal)),',
    to: "",
    profiles: ["hand"],
  },
  {
    name: "a relist keeps what is gone",
    file: "kubernetes/informer.ts",
    from: "for (const name of gone) this.#remove(name);",
    to: "",
  },
  {
    name: "an object that was made anew is the one of before",
    file: "kubernetes/informer.ts",
    from: "if (known && known.metadata.uid !== object.metadata.uid) this.#remove(name);",
    to: 'if (known && object.metadata.uid === "-") this.#remove(name);',
  },
  {
    name: "a lost connection is not looked into",
    file: "kubernetes/informer.ts",
    from: "isListed = (await this.#follow()) || (await this.#isSameHistory());",
    to: "isListed = (await this.#follow()) || true;",
    profiles: ["restores"],
  },
];
