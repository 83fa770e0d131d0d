import type { Mutation } from "./mutation.ts";

/** Of the leader, and of records in pools. */
export const LEADER: readonly Mutation[] = [
  {
    name: "a lease is taken over at once",
    file: "daemonset/addresses/leader/lease.ts",
    from: "this.#freeMs = isFree ? 0 : performance.now() + this.#options.durationMs;",
    to: "this.#freeMs = isFree ? 0 : 1;",
  },
  {
    name: "a leader that cannot renew goes on",
    file: "daemonset/addresses/leader/lease.ts",
    from: "if (leftMs <= 0) return undefined;",
    to: "",
    profiles: ["silence", "rough"],
  },
  {
    name: "a lease is written whatever it is by now",
    file: "daemonset/addresses/leader/lease.ts",
    from: "if (from) return cluster.replace<Lease>(LEASES, { ...from, spec }, { signal });",
    to: "if (from) return cluster.replace<Lease>(LEASES, { ...from, metadata: { name: LEADER_LEASE }, spec }, { signal });",
  },
  {
    name: "a patch of the view tests nothing",
    file: "ipam/whereabouts/record-patch.ts",
    from: "return known.map(",
    to: "return known.slice(known.length).map(",
    profiles: ["coexist", "rough", "modes"],
  },
  {
    name: "a record is written over another one",
    file: "ipam/whereabouts/record-patch.ts",
    from: '  { op: "test", path: at(key), value: null },\n',
    to: "",
    profiles: ["coexist", "mixed"],
  },
  {
    name: "a leader believes that nobody else writes pools",
    file: "daemonset/addresses/leader/pools.ts",
    from: "if (this.#seen.difference(this.#view.versions).size > 0) this.#view.forget();",
    to: "",
    profiles: ["modes", "rough"],
  },
  {
    name: "a view removes what no reservation backs without a question",
    file: "daemonset/addresses/leader/plan-view.ts",
    from: "else if (isOver || mayGo(key, from)) changes.push(change);",
    to: "else if (isOver || !junk.includes(key)) changes.push(change);",
    profiles: ["restores", "hand"],
  },
  {
    name: "a pool is adopted though it has changed",
    file: "daemonset/addresses/leader/adopt.ts",
    from: "const patch = { metadata: { resourceVersion, annotations: { [ADOPTED]: new Date().toISOString() } } };",
    to: "const patch = { metadata: { annotations: { [ADOPTED]: new Date().toISOString() } } };",
    profiles: ["modes"],
  },
  {
    name: "a pool is adopted without its records' reservations",
    file: "daemonset/addresses/leader/adopt.ts",
    from: "const conflicts = await reserveAll(pool, location, checked, context, signal);",
    to: "const conflicts = checked.size;",
    profiles: ["modes"],
  },
  {
    name: "beside Whereabouts a pool stays adopted",
    file: "daemonset/addresses/leader/pools.ts",
    from: "if (isAdopted) await disown(this.#name, this.#context, signal);",
    to: "void isAdopted;",
    profiles: ["modes"],
  },
  {
    name: "beside Whereabouts no record is written",
    file: "ipam/store/kubernetes.ts",
    from: "const recorded = await this.#writer(pool, view).write(view.keyOf(ip), alsoOver(claim, reserved));",
    to: 'const recorded = ip === "" ? await this.#writer(pool, view).write(view.keyOf(ip), alsoOver(claim, reserved)) : undefined;',
    profiles: ["coexist"],
  },
  {
    name: "beside Whereabouts a record is left",
    file: "ipam/store/kubernetes.ts",
    from: "RecordRemoval = writer\n",
    to: 'RecordRemoval = writer && ip === ""\n',
    profiles: ["coexist"],
  },
  {
    name: "a record of another sandbox is one's own",
    file: "ipam/store/kubernetes/record-change.ts",
    from: "const isOwn = !!holder && isSameInterface(holder, owner) && holder.containerId === owner.containerId;",
    to: "const isOwn = !!holder && isSameInterface(holder, owner);",
    profiles: ["coexist"],
  },
];
