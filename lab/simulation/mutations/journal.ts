import type { Mutation } from "./mutation.ts";

/** Of the journal, and of what works it off. */
export const JOURNAL: readonly Mutation[] = [
  {
    name: "a candidate is not journalled",
    file: "ipam/claim.ts",
    from: "this.#save({ addresses: [...this.record.addresses, { pool, ip }] });",
    to: "this.record = { ...this.record, addresses: [...this.record.addresses, { pool, ip }] };",
    unseen:
      "the pod's next sandbox takes the same address over, or the collection frees it within two minutes; test/netns kills at this step",
  },
  {
    name: "an ADD that is done is not held",
    file: "ipam/claim.ts",
    from: 'this.#save({ phase: "held", addresses: this.record.addresses }, { synced: false });',
    to: "",
  },
  {
    name: "an ADD that failed gives nothing back",
    file: "ipam/add.ts",
    from: "undo.defer(() => giveUp(claimer.record, journal, host));",
    to: "void giveUp;",
    unseen: "a runtime calls DEL after an ADD that failed, and that gives back",
  },
  {
    name: "an ADD does not look at what an earlier one left",
    file: "ipam/add.ts",
    from: 'if (left && left.phase !== "held") await release(left, store, journal, host).catch(rethrow);',
    to: "void release;",
    unseen: "no runtime of the simulation adds a sandbox twice",
  },
  {
    name: "a DEL is not journalled",
    file: "ipam/del.ts",
    from: 'if (record.phase !== "releasing" || record.search) journal.update(record, change);',
    to: "",
  },
  {
    name: "a record is forgotten before it is released",
    file: "ipam/release.ts",
    from: "const { owner, addresses, search = [] } = record;",
    to: "const { owner, addresses, search = [] } = record;\n  journal.forget(record);",
  },
  {
    name: "a record is never forgotten",
    file: "ipam/release.ts",
    from: "  journal.forget(record);\n  host.step",
    to: "  host.step",
  },
  {
    name: "a release gives back the first address alone",
    file: "ipam/release.ts",
    from: "for (const claim of [...addresses.map((a) => ({ ...a, ...ending })), ...found.flat()]) {",
    to: "for (const claim of [...addresses.slice(0, 1).map((a) => ({ ...a, ...ending })), ...found.flat()]) {",
    profiles: ["pairs", "ranges"],
  },
  {
    name: "what is on disk is not taken in at a start",
    file: "daemonset/addresses/service/releases.ts",
    from: 'if (record.phase === "releasing") this.add(record);',
    to: "void record;",
  },
  {
    name: "a release that failed is not tried again",
    file: "daemonset/addresses/service/releases.ts",
    from: "this.#resting--;\n    this.add(record);",
    to: "this.#resting--;\n    void record;",
    unseen: "the journal is looked through every 15 s, and that tries again",
  },
  {
    name: "a release believes what it was told, not the journal",
    file: "daemonset/addresses/service/releases.ts",
    from: '      now?.phase !== "releasing" ||\n',
    to: "      now === undefined ||\n",
    unseen: "only an ADD of a sandbox that had its DEL would find a record of another phase: no runtime adds one twice",
  },
  {
    name: "a release does not lock its attachment",
    file: "daemonset/addresses/service/releases.ts",
    from: "using _lock = await lockAttachment({ containerId, ifname }, this.#host);",
    to: "void lockAttachment;",
    unseen:
      "the lock is for an ADD of a sandbox that had its DEL, and no runtime adds one twice; two releases of one attachment are one",
  },
  {
    name: "a DEL does not end the ADD of its attachment",
    file: "daemonset/addresses/service/service.ts",
    from: 'if (verb === "DEL")\n',
    to: 'if (verb === "DEL" && containerId === "")\n',
    unseen: "a DEL then waits for the ADD's lock: slower, not wrong",
  },
  {
    name: "a record is not synced",
    file: "records/durable.ts",
    from: "    if (synced) fs.fdatasyncSync(fd);\n  } finally",
    to: "    void synced;\n  } finally",
    unseen:
      "after a power cut every sandbox is over, and the collection finds what is left; test/netns/power-cut finds a missing sync",
  },
  {
    name: "a change of a record is not synced",
    file: "records/durable.ts",
    from: "    fs.writeFileSync(fd, text);\n    if (synced) fs.fdatasyncSync(fd);\n  } catch",
    to: "    fs.writeFileSync(fd, text);\n    void synced;\n  } catch",
    unseen:
      "after a power cut every sandbox is over, and the collection finds what is left; test/netns/power-cut finds a missing sync",
  },
  {
    name: "the name of a record is not synced",
    file: "records/record-files.ts",
    from: "      if (synced) syncFile(this.#dir);",
    to: "",
    unseen:
      "after a power cut every sandbox is over, and the collection finds what is left; test/netns/power-cut finds a missing sync",
  },
  {
    name: "a sandbox is never over",
    file: "ipam/sandbox.ts",
    from: "return netnsInode === 0 ? inode !== 0 : inode === netnsInode;",
    to: "return netnsInode === 0 ? inode !== 0 : true;",
    profiles: ["rough", "power"],
  },
  {
    name: "no sandbox runs",
    file: "ipam/sandbox.ts",
    from: "return netnsInode === 0 ? inode !== 0 : inode === netnsInode;",
    to: "return inode < 0;",
  },
];
