import { readdirSync, readlinkSync, rmSync, statSync, writeFileSync } from "node:fs";
import { must } from "./run.ts";

type Json = Record<string, unknown>;

/** A named network namespace: a file keeps it alive, like the files in /run/netns. */
export class Netns {
  readonly path: string;

  private constructor(path: string) {
    this.path = path;
  }

  static async create(path: string): Promise<Netns> {
    writeFileSync(path, "");
    await must("unshare", [`--net=${path}`, "true"]);
    return new Netns(path);
  }

  /** Arguments of nsenter(1) that run a command in here. */
  enter(...command: string[]): [string, string[]] {
    return ["nsenter", [`--net=${this.path}`, ...command]];
  }

  /** Runs a command in here. @throws {Error} when it fails. */
  exec(...command: string[]): Promise<string> {
    return must(...this.enter(...command));
  }

  ip(...args: string[]): Promise<string> {
    return this.exec("ip", ...args);
  }

  /** What `ip -j -d` says. */
  async show(...args: string[]): Promise<Json[]> {
    return (await this.showAll(args.join(" ")))[0]!;
  }

  /** The same for several questions, asked by one process. */
  async showAll(...questions: string[]): Promise<Json[][]> {
    const script = questions.map((q) => `ip -j -d ${q} || exit 1; echo; echo ---`).join("\n");
    const answers = (await this.exec("sh", "-c", script)).split("---").slice(0, -1);
    return answers.map((text) => JSON.parse(text.trim() || "[]") as Json[]);
  }

  async batch(lines: readonly string[]): Promise<void> {
    await must(...this.enter("ip", "-batch", "-"), { stdin: lines.join("\n") });
  }

  get inode(): number {
    return statSync(this.path).ino;
  }

  /** The file goes; the namespace too, unless something is left in it. */
  async remove(): Promise<void> {
    await must("umount", ["-l", this.path]); // as runtimes do (MNT_DETACH): somebody may just be looking at it
    rmSync(this.path);
  }
}

/** Ids of the processes that are in one of these namespaces. */
export function processesIn(namespaces: readonly Netns[]): number[] {
  const inside = new Set(namespaces.map(({ inode }) => `net:[${inode}]`));
  return readdirSync("/proc")
    .filter((name) => /^\d+$/.test(name))
    .map(Number)
    .filter((pid) => inside.has(netnsOf(pid)));
}

function netnsOf(pid: number): string {
  try {
    return readlinkSync(`/proc/${pid}/ns/net`);
  } catch {
    return ""; // it just ended
  }
}
