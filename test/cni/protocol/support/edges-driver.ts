// Reads the request of its process and answers with what it read, for edges.test.ts. PAD is a length: as much again.
import { createHash } from "node:crypto";
import { readRequestFromProcess, writeResponse } from "../../../../cni/protocol/edges.ts";

const { stdin, ...rest } = readRequestFromProcess("driver");
const seen = { ...rest, length: stdin.length, sha256: createHash("sha256").update(stdin).digest("hex") };
const pad = "x".repeat(Number(process.env.PAD ?? 0));
writeResponse({ exit: 0, stdout: JSON.stringify({ ...seen, pad }), stderr: "a word\n" });
process.exit(0);
