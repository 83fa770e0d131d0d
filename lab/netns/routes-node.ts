// A node's thread of routes over rails, without an agent around it: jobs are lines of JSON on standard input, news on standard
// output. For tests that cannot import it (bun:ffi).
import { resolve } from "node:path";
import { createInterface } from "node:readline";

const worker = new Worker(resolve(import.meta.dirname, "../../daemonset/routes/worker.ts"));
worker.onmessage = ({ data }) => console.log(JSON.stringify(data));
worker.onerror = ({ message }) => {
  console.error(message);
  process.exit(1);
};
for await (const line of createInterface({ input: process.stdin })) worker.postMessage(JSON.parse(line));
process.exit(0);
