import { readdirSync, readFileSync, writeSync } from "node:fs";
import { Machine, stateRoot } from "./machine.ts";
import { startNodes } from "./nodes.ts";

const USAGE = `Test machines by hand.
  vm.ts start NAME [VFS]         a machine that stays (default 4 VFs a rail)
  vm.ts start-nodes              n0 and n1 of the VM tests, which then use them instead of booting
  vm.ts sh NAME 'shell text'     standard input (unless a terminal), output, error and exit status are passed on
  vm.ts push NAME FILE PATH      a file of the host into the guest's memory
  vm.ts monitor NAME COMMAND     QEMU's human monitor: 'set_link rail0 off'
  vm.ts log NAME                 the guest's console
  vm.ts list | stop NAME | stop-all
`;

const names = (): string[] => readdirSync(stateRoot()).filter((name) => Machine.isRunning(name));

const commands: Record<string, (...args: string[]) => Promise<number | undefined>> = {
  async start(name = "n0", vfs = "4") {
    await Machine.start({ name, vfs: Number(vfs), outlives: true });
    return 0;
  },
  async "start-nodes"() {
    await startNodes({ outlives: true });
    return 0;
  },
  async sh(name = "", text = "") {
    const stdin = process.stdin.isTTY ? "" : readFileSync(0);
    const { exit, stdout, stderr } = await Machine.attach(name).sh(text, { stdin, timeoutMs: 600_000 });
    print(1, stdout);
    print(2, stderr);
    return exit;
  },
  async push(name = "", file = "", path = "") {
    await Machine.attach(name).push(file, path);
    return 0;
  },
  async monitor(name = "", ...command) {
    print(1, await Machine.attach(name).monitor(command.join(" ")));
    return 0;
  },
  async log(name = "") {
    print(1, Machine.attach(name).console());
    return 0;
  },
  async list() {
    print(1, `${names().join("\n")}\n`);
    return 0;
  },
  async stop(name = "") {
    await Machine.attach(name).stop();
    return 0;
  },
  async "stop-all"() {
    await Promise.all(names().map((name) => Machine.attach(name).stop()));
    return 0;
  },
};

function print(fd: number, text: string): void {
  const bytes = Buffer.from(text);
  for (let at = 0; at < bytes.length; ) at += writeSync(fd, bytes, at);
}

const [command = "", ...args] = process.argv.slice(2);
const begin = performance.now();
try {
  if (commands[command]) process.exitCode = (await commands[command](...args)) ?? 0;
  else print(2, USAGE);
  if (command.startsWith("start")) print(2, `ready in ${((performance.now() - begin) / 1000).toFixed(1)} s\n`);
} catch (error) {
  print(2, `vm: ${error instanceof Error ? error.message : error}\n`);
  process.exitCode = 125;
}
