import { cpSync, existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { type CrashState, writeTree } from "./crash-states.ts";
import type { Death, Killer } from "./die-at.ts";
import type { DiskTracer, Traced } from "./disk-trace.ts";
import { installFull } from "./executables.ts";
import { start } from "./run.ts";

export interface Sandbox {
  readonly id: string;
  readonly pod: string;
}

/** A verb, its sandbox, and for GC the running sandboxes. */
export type Call = readonly [verb: "ADD" | "DEL" | "GC", of: Sandbox, valid?: readonly Sandbox[] | undefined];

const NETWORK = "rail0";
const CONFIG = {
  cniVersion: "1.1.0",
  name: NETWORK,
  type: "macvlan",
  ipam: { type: "railnet-ipam", network_name: NETWORK, range: "10.20.0.0/24" },
};

/** A single host whose addresses are stored in a directory, and its stand-alone `railnet-ipam`. */
export class AddressHost implements Disposable {
  readonly #dir: string;
  readonly #env: Readonly<Record<string, string>>;

  constructor(root: string) {
    this.#dir = mkdtempSync(join(root, "host-"));
    for (const dir of ["disk", "run", "bin", "netns"]) mkdirSync(join(this.#dir, dir));
    installFull(join(this.#dir, "bin"));
    writeFileSync(join(this.#dir, "node.json"), JSON.stringify({ node: "host", flatFiles: [] }));
    this.#env = {
      RAILNET_STATE_DIR: join(this.#dir, "disk/state"),
      RAILNET_RUN_DIR: join(this.#dir, "run"),
      RAILNET_NODE_CONFIG: join(this.#dir, "node.json"),
      CNI_PATH: join(this.#dir, "bin"),
      CNI_IFNAME: "net1",
    };
  }

  [Symbol.dispose](): void {
    rmSync(this.#dir, { recursive: true });
  }

  /** @throws {Error} with its answer when the call fails. */
  async call(...call: Call): Promise<void> {
    const { exit, stdout, stderr } = await start(this.#plugin, [], this.#request(...call));
    if (exit !== 0) throw new Error(`${call[0]} of ${call[1].id} failed: ${stdout}${stderr}`);
  }

  /** The same call, killed before its nth change to the disk. */
  async killed(killer: Killer, nth: number, ...call: Call): Promise<Death> {
    return killer.run(nth, this.#dir, [this.#plugin], this.#request(...call));
  }

  /** The same call, run to its end, with what it does to the disk. */
  async traced(tracer: DiskTracer, ...call: Call): Promise<Traced> {
    return tracer.run(join(this.#dir, "disk"), [this.#plugin], this.#request(...call));
  }

  /** The host after a power cut: what is in memory is gone. */
  restart({ tree }: CrashState): void {
    writeTree(join(this.#dir, "disk/state"), tree);
    rmSync(join(this.#dir, "run"), { recursive: true });
    mkdirSync(join(this.#dir, "run"));
  }

  /** Records that were set aside as incomplete. */
  torn(): string[] {
    return files(join(this.#dir, "disk/state/torn"));
  }

  /** From now on addresses are in a cluster whose API server nobody reaches: all that is on record is of it. */
  loseCluster(): void {
    const kubeconfig = join(this.#dir, "kubeconfig");
    const cluster = { server: "https://127.0.0.1:1" };
    const named = {
      clusters: [{ name: "c", cluster }],
      users: [{ name: "u", user: { token: "t" } }],
      contexts: [{ name: "c", context: { cluster: "c", user: "u" } }],
    };
    writeFileSync(kubeconfig, JSON.stringify({ apiVersion: "v1", kind: "Config", "current-context": "c", ...named }));
    const dir = join(this.#dir, "disk/state/ipam");
    for (const name of files(dir)) {
      const record = whole(readFileSync(join(dir, name), "utf8"));
      writeFileSync(join(dir, name), JSON.stringify({ ...record, storage: { kind: "kubernetes", kubeconfig } }));
    }
  }

  /** @returns a function that restores the disk to its present state. */
  keep(): () => void {
    const kept = `${this.#dir}-kept`;
    const parts = ["disk/state", "run"].map((part) => [join(this.#dir, part), join(kept, part)] as const);
    const copy = (from: string, to: string) => {
      rmSync(to, { recursive: true, force: true });
      if (existsSync(from)) cpSync(from, to, { recursive: true });
    };
    for (const [at, there] of parts) copy(at, there);
    return () => {
      for (const [at, there] of parts) copy(there, at);
    };
  }

  /** Every file with its text, without times: equal for equal disks. */
  picture(): string {
    return ["disk", "run"]
      .flatMap((part) => readdirSync(join(this.#dir, part), { recursive: true, withFileTypes: true }))
      .map(
        (one) =>
          join(one.parentPath, one.name) + (one.isFile() ? ` ${readFileSync(join(one.parentPath, one.name))}` : ""),
      )
      .sort()
      .join("\n")
      .replace(/"since":"[^"]*"/g, "");
  }

  /** `IP POD ID` of each owner of each address, by the files alone. @throws {SyntaxError} for half a file. */
  held(): string[] {
    const dir = join(this.#dir, "disk/state/addresses", `network-${NETWORK}`);
    return files(dir).flatMap((name) =>
      JSON.parse(readFileSync(join(dir, name), "utf8")).map(
        ({ owner }: { owner: { podref: string; containerId: string } }) =>
          `${name.slice(0, -".json".length)} ${owner.podref} ${owner.containerId}`,
      ),
    );
  }

  /** `IP POD ID` of each candidate and each claim that the journal knows, and in which phase. */
  journal(): { readonly phase: string; readonly claim: string }[] {
    const dir = join(this.#dir, "disk/state/ipam");
    return files(dir).flatMap((name) => {
      const { phase, owner, addresses } = whole(readFileSync(join(dir, name), "utf8"));
      return addresses.map(({ ip }: { ip: string }) => ({ phase, claim: `${ip} ${owner.podref} ${owner.containerId}` })); // biome-ignore format: one row
    });
  }

  get #plugin(): string {
    return join(this.#dir, "bin/railnet-ipam");
  }

  #request(...[verb, { id, pod }, valid]: Call) {
    const netns = join(this.#dir, "netns", id);
    writeFileSync(netns, "");
    const list = valid?.map(({ id }) => ({ containerID: id, ifname: "net1" }));
    return {
      env: {
        ...this.#env,
        CNI_COMMAND: verb,
        CNI_CONTAINERID: id,
        CNI_NETNS: netns,
        CNI_ARGS: `IgnoreUnknown=1;K8S_POD_NAMESPACE=default;K8S_POD_NAME=${pod}`,
      },
      stdin: JSON.stringify({ ...CONFIG, ...(list && { "cni.dev/valid-attachments": list }) }),
    };
  }
}

const files = (dir: string): string[] =>
  existsSync(dir) ? readdirSync(dir).filter((name) => name.endsWith(".json")) : [];

/** A record, then its changes; one that is torn never happened. */
function whole(text: string) {
  const [first = "", ...changes] = text.split("\n").map((line) => line.replace(/\0+$/, ""));
  const parsed = changes.map((line) => {
    try {
      return JSON.parse(line);
    } catch {
      return {};
    }
  });
  return Object.assign({}, JSON.parse(first), ...parsed);
}
