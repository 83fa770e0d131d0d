import { spawn } from "node:child_process";
import { existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { ask } from "../netns/client.ts";
import { until } from "../until.ts";
import { Daemon } from "./daemon.ts";
import type { Json } from "./raw.ts";
import type { Sandbox } from "./whereabouts.ts";

const DIST = process.env["RAILNET_TEST_DIST"] ?? new URL("../../dist/test", import.meta.url).pathname;

export interface NodeOptions {
  /** Where the node's directories go. */
  readonly folder: string;
  readonly kubeconfig: string;
  /** Where its socket and locks go: memory, as /run of a node is. Default: below its own directory. */
  readonly runFolder?: string;
  /** More of node.json. */
  readonly policy?: Json;
  readonly env?: Readonly<Record<string, string>>;
  /** A command that runs the agent, and its first arguments: nsenter(1), for instance. */
  readonly wrap?: readonly string[];
  /** Directory of the executables; default those with fault injection. */
  readonly dist?: string;
}

export interface Answer {
  readonly exit: number | null;
  readonly json: Json;
}

export type Verb = "ADD" | "CHECK" | "DEL" | "GC" | "STATUS";

/** A node of a cluster, as far as addresses are concerned: its directories, its agent, its stand-alone executable. Needs root. */
export class ClusterNode {
  readonly name: string;
  readonly folder: string;
  readonly env: Readonly<Record<string, string>>;
  readonly #dist: string;
  readonly #run: string;
  readonly #wrap: readonly string[];
  #agent: Daemon | undefined;

  constructor(name: string, options: NodeOptions) {
    const { folder, kubeconfig, runFolder, policy = {}, env = {}, dist = DIST, wrap = [] } = options;
    this.name = name;
    this.#dist = dist;
    this.#wrap = wrap;
    this.folder = mkdtempSync(`${folder}/node-`);
    for (const dir of ["run", "sys", "netns", "bin"]) mkdirSync(`${this.folder}/${dir}`, { mode: 0o700 });
    this.#run = runFolder ? mkdtempSync(`${runFolder}/node-`) : `${this.folder}/run`;
    this.writePolicy({ node: name, kubeconfig, flatFiles: [], ...policy });
    this.env = {
      RAILNET_STATE_DIR: `${this.folder}/state`,
      RAILNET_RUN_DIR: this.#run,
      RAILNET_NODE_CONFIG: `${this.folder}/node.json`,
      RAILNET_SYSFS: `${this.folder}/sys`,
      RAILNET_NETNS_DIR: `${this.folder}/netns`,
      RAILNET_CNI_CACHE_DIR: `${this.folder}/cache`,
      RAILNET_FAULT_FILE: `${this.folder}/faults`,
      ...env,
    };
  }

  writePolicy(policy: Json): void {
    writeFileSync(`${this.folder}/node.json`, JSON.stringify(policy));
  }

  /** Lines of cni/faults.ts that happen from now on. */
  faults(...lines: readonly string[]): void {
    writeFileSync(`${this.folder}/faults`, lines.join("\n"));
  }

  /** Starts the agent, and waits until it serves. */
  async start(...args: readonly string[]): Promise<void> {
    const health = ["--health", "--metrics"].flatMap((option) => (args.includes(option) ? [] : [option, ""]));
    const command = [...this.#wrap, `${this.#dist}/railnet`, "agent", ...health, ...args];
    const timesReady = () => this.log().split('"msg":"agent ready"').length;
    const before = timesReady(); // it may be ready before this process has its next turn
    const agent = Daemon.start(command, `${this.folder}/agent.log`, { ...this.env, RAILNET_LOG_LEVEL: "info" });
    this.#agent = agent;
    await until(`the agent of ${this.name} is ready`, () => {
      if (agent.ended) throw new Error(`the agent ended: ${agent.tail()}`);
      return timesReady() > before;
    }).catch((error: Error) => {
      throw new Error(`${error.message}: ${agent.tail()}`);
    });
  }

  async stop(signal: NodeJS.Signals = "SIGTERM"): Promise<void> {
    await this.#agent?.stop(signal);
    this.#agent = undefined;
  }

  get agent(): Daemon | undefined {
    return this.#agent;
  }

  log(): string {
    const path = `${this.folder}/agent.log`;
    return existsSync(path) ? readFileSync(path, "utf8") : "";
  }

  /** Attachments whose addresses the node's journal knows. */
  claims(): Json[] {
    const dir = `${this.folder}/state/ipam`;
    const names = existsSync(dir) ? readdirSync(dir).filter((name) => name.endsWith(".json")) : [];
    return names.flatMap((name) => {
      try {
        return [recordIn(readFileSync(`${dir}/${name}`, "utf8"))];
      } catch (error) {
        if ((error as NodeJS.ErrnoException).code === "ENOENT") return []; // released meanwhile
        throw error;
      }
    });
  }

  /** One call through the agent's socket, as the shim makes it. */
  async call(verb: Verb, config: Json, sandbox: Sandbox & { uid?: string; netns?: string }): Promise<Answer> {
    const { exit, stdout } = await ask(
      `${this.#run}/agent.sock`,
      this.#cni(verb, sandbox),
      JSON.stringify(config),
      "railnet-ipam",
    );
    return { exit, json: stdout ? JSON.parse(stdout) : undefined };
  }

  /** One call of the stand-alone executable. @param wrap a command that runs it, and its first arguments. */
  alone(
    verb: Verb,
    config: Json,
    sandbox: Sandbox & { uid?: string; netns?: string },
    name = "railnet-ipam",
    wrap: readonly string[] = [],
  ): Promise<Answer> {
    const [command, ...args] = [...wrap, `${this.#dist}/railnet-ipam`] as unknown as [string, ...string[]];
    const child = spawn(command, args, {
      ...(wrap.length === 0 && { argv0: name }),
      env: { PATH: "/usr/bin:/bin", ...this.env, ...this.#cni(verb, sandbox) },
      stdio: ["pipe", "pipe", "ignore"],
    });
    let stdout = "";
    child.stdout.on("data", (piece) => (stdout += piece));
    child.stdin.on("error", () => {}); // it may have ended
    child.stdin.end(JSON.stringify(config));
    return new Promise((resolve, reject) => {
      child.on("error", reject);
      child.on("close", (exit) => resolve({ exit, json: stdout ? JSON.parse(stdout) : undefined }));
    });
  }

  #cni(
    verb: Verb,
    {
      id,
      pod,
      namespace = "default",
      ifname = "net1",
      args: more = [],
      uid,
      netns,
    }: Sandbox & { uid?: string; netns?: string },
  ) {
    const args = [
      "IgnoreUnknown=1",
      `K8S_POD_NAMESPACE=${namespace}`,
      `K8S_POD_NAME=${pod}`,
      ...(uid ? [`K8S_POD_UID=${uid}`] : []),
      ...more,
    ];
    return {
      CNI_COMMAND: verb,
      CNI_CONTAINERID: id,
      CNI_NETNS: netns ?? (verb === "DEL" ? "" : "/proc/self/ns/net"),
      CNI_IFNAME: ifname,
      CNI_PATH: `${this.folder}/bin`,
      CNI_ARGS: args.join(";"),
    };
  }
}

/** A journal's record: a line of JSON, then a line for each change; an incomplete one was never written. */
export function recordIn(text: string): Json {
  const [first, ...changes] = text.split("\n").map((line) => line.replace(/\0+$/, "")); // zeros: torn by a power cut
  const whole = changes.filter((line) => line.endsWith("}")).map((line) => JSON.parse(line));
  return Object.assign(JSON.parse(first!), ...whole);
}
