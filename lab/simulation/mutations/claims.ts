import type { Mutation } from "./mutation.ts";

/** Of the way to the API server, and of claims and releases there. */
export const CLAIMS: readonly Mutation[] = [
  {
    name: "a delete without preconditions",
    file: "ipam/store/kubernetes/reservations.ts",
    from: "const asFound = { ...(uid && { uid }), ...(resourceVersion && { resourceVersion }) };",
    to: "const asFound = {};",
  },
  {
    name: "a release takes whatever sandbox of the interface has it",
    file: "ipam/store/kubernetes/reservations.ts",
    from: 'if (containerid ? containerid !== owner.containerId : !(await isOurs())) return "foreign";',
    to: "void containerid;",
  },
  {
    name: "a release takes whatever interface has it",
    file: "ipam/store/kubernetes/reservations.ts",
    from: '      if (!isOfClaim(found, claim)) return "foreign";\n      const { containerid }',
    to: "      const { containerid }",
    unseen:
      "the container ID, which is looked at next, says the same: no sandbox has two interfaces in one pool of the simulation",
  },
  {
    name: "a hand-over tests no version",
    file: "ipam/store/kubernetes/reservations.ts",
    from: '    { op: "test", path: "/metadata/resourceVersion", value: found.metadata.resourceVersion },\n    { op: "test", path: "/metadata/uid", value: found.metadata.uid },\n',
    to: "",
    profiles: ["silence", "restarts"],
  },
  {
    name: "an unclear create counts as done",
    file: "ipam/store/kubernetes/reservations.ts",
    from: 'if (isUnclear(error)) return "unclear";',
    to: 'if (isUnclear(error)) return "made";',
  },
  {
    name: "an address that is there counts as made",
    file: "ipam/store/kubernetes/reservations.ts",
    from: 'if (isTaken(error)) return "taken";',
    to: 'if (isTaken(error)) return "made";',
  },
  {
    name: "whoever holds an address loses it to a claim",
    file: "ipam/store/kubernetes/reservations.ts",
    from: "if (!isFree && (!isOfClaim(found, claim) || !takesOver(from, claim))) return heldBy(found);",
    to: "",
  },
  {
    name: "a hand-over that failed counts as done",
    file: "ipam/store/kubernetes/reservations.ts",
    from: 'if (isOutdated(error) || isUnclear(error) || isGone(error)) return false;\n      throw error;\n    }\n    this.#step("store-reservation-created");\n    return true;\n  }\n\n  /** ',
    to: 'if (isOutdated(error) || isUnclear(error) || isGone(error)) return true;\n      throw error;\n    }\n    this.#step("store-reservation-created");\n    return true;\n  }\n\n  /** ',
  },
  {
    name: "a delete that failed counts as done",
    file: "ipam/store/kubernetes/reservations.ts",
    from: 'if (isOutdated(error) || isUnclear(error) || isGone(error)) return false;\n      throw error;\n    }\n    this.#step("store-reservation-deleted");',
    to: 'if (isOutdated(error) || isUnclear(error) || isGone(error)) return true;\n      throw error;\n    }\n    this.#step("store-reservation-deleted");',
  },
  {
    name: "what was in quarantine is free as soon as it is given back",
    file: "ipam/store/kubernetes/reservations.ts",
    from: "if (sinceMs !== undefined && nowMs - sinceMs < QUARANTINE_MS)",
    to: "if (sinceMs !== undefined && nowMs < 0)",
    profiles: ["silence"],
  },
  {
    name: "a 504 counts as not done",
    file: "kubernetes/failure.ts",
    from: "const isUnclear = isWrite(action) && status >= 500 && !(status === 503 && said);",
    to: "const isUnclear = isWrite(action) && status < 0;",
    unseen:
      "a release looks at whatever may have been claimed; what arrives after that the node collects within two minutes, which no rule forbids",
  },
  {
    name: "a broken connection counts as not done",
    file: "kubernetes/failure.ts",
    from: "  const isUnclear = isWrite(action) && error.wasSent;\n  const untrusted",
    to: '  const isUnclear = isWrite(action) && error.wasSent && error.code === "";\n  const untrusted',
    unseen:
      "a release looks at whatever may have been claimed; what arrives after that the node collects within two minutes, which no rule forbids",
  },
  {
    name: "a time limit counts as not done",
    file: "kubernetes/failure.ts",
    from: "const isUnclear = isWrite(action) && wasSent;",
    to: 'const isUnclear = isWrite(action) && wasSent && why === "";',
    unseen:
      "a release looks at whatever may have been claimed; what arrives after that the node collects within two minutes, which no rule forbids",
  },
  {
    name: "writes are repeated on a broken connection",
    file: "kubernetes/caller.ts",
    from: "if (error.wasSent && !isWrite(request) && !isReadAgain) {",
    to: "if (error.wasSent && !isReadAgain) {",
    unseen: "each write tests what it found, so doing it twice is doing it once",
  },
];
