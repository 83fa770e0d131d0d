// Runs requests of the kernel layer, for tests that cannot import it (bun:ffi): see live.ts. Argument: a Task as JSON.
import * as address from "../../../kernel/address.ts";
import { codeOf } from "../../../kernel/errno.ts";
import * as link from "../../../kernel/link.ts";
import * as neighbour from "../../../kernel/neighbour-entry.ts";
import type { Message } from "../../../kernel/netlink/message.ts";
import { NetlinkSocket } from "../../../kernel/netlink/socket.ts";
import { openNetns } from "../../../kernel/netns.ts";
import * as route from "../../../kernel/route.ts";
import * as rule from "../../../kernel/rule.ts";

/** What one driver process does: all calls in one batch, or one after the other, or the dump of the only call. */
export interface Task {
  readonly as: "batch" | "requests" | "dump";
  /** Function of the kernel layer and its arguments; `{"netns": PATH}` in a link's change is opened. */
  readonly calls: readonly (readonly [name: string, ...args: unknown[]])[];
  readonly parse?: string;
  /** How often, in this one process. */
  readonly times?: number;
}

/** How it went: `answers` of a dump or of get requests, parsed; `fds` are those open before and after. */
export interface Outcome {
  readonly answers?: readonly unknown[];
  readonly error?: { readonly code: string | undefined; readonly message: string };
  readonly fds: readonly [before: number, after: number];
}

const functions = { ...link, ...address, ...neighbour, ...route, ...rule } as unknown as Record<
  string,
  (...args: never[]) => never
>;

function toMessage([name, ...args]: Task["calls"][number]): Message {
  if (name !== "setLink") return functions[name]!(...(args as never[]));
  const [index, { netns, ...change }, what] = args as [number, { netns?: string }, string?];
  return link.setLink(index, netns === undefined ? change : { ...change, netns: openNetns(netns) }, what);
}

async function openFiles(): Promise<number> {
  const { readdirSync } = await import("node:fs");
  return readdirSync("/proc/self/fd").length;
}

function run({ as, calls, parse }: Task): unknown[] {
  using socket = new NetlinkSocket();
  const read = (body: Buffer | undefined) => (body && parse ? functions[parse]!(body as never) : undefined);
  if (as === "dump") return socket.dump(toMessage(calls[0]!)).map(read);
  if (as === "batch") return socket.batch(calls.map(toMessage)).map(read);
  return calls.map((call) => read(socket.request(toMessage(call))));
}

const task = JSON.parse(process.argv[2]!) as Task;
let outcome: Omit<Outcome, "fds"> = {};
run({ as: "dump", calls: [["listLinks"]] }); // what is opened once is open now
const before = await openFiles();
try {
  for (let left = task.times ?? 1; left > 0; left--) outcome = { answers: run(task) };
} catch (error) {
  outcome = { error: { code: codeOf(error), message: (error as Error).message } };
}
console.log(JSON.stringify({ ...outcome, fds: [before, await openFiles()] } satisfies Outcome));
