import { cpSync, existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import type { Death, Killer } from "./die-at.ts";
import { installFull } from "./executables.ts";
import { start } from "./run.ts";

export interface Sandbox {
  readonly id: string;
  readonly pod: string;
}

const NETWORK = "rail0";
const CONFIG = {
  cniVersion: "1.1.0",
  name: NETWORK,
  type: "macvlan",
  ipam: { type: "railnet-ipam", network_name: NETWORK, range: "10.20.0.0/24" },
};

/** A single host whose addresses are kept in a directory, and its stand-alone `railnet-ipam`. */
export class AddressHost implements Disposable {
  readonly #dir: string;
  readonly #killer: Killer;
  readonly #env: Readonly<Record<string, string>>;

  constructor(root: string, killer: Killer) {
    this.#dir = mkdtempSync(join(root, "host-"));
    this.#killer = killer;
    for (const dir of ["run", "bin", "netns"]) mkdirSync(join(this.#dir, dir));
    installFull(join(this.#dir, "bin"));
    writeFileSync(join(this.#dir, "node.json"), JSON.stringify({ node: "host", flatFiles: [] }));
    this.#env = {
      RAILNET_STATE_DIR: join(this.#dir, "state"),
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
  async call(verb: "ADD" | "DEL" | "GC", sandbox: Sandbox, valid?: readonly Sandbox[]): Promise<void> {
    const { exit, stdout, stderr } = await start(this.#plugin, [], this.#request(verb, sandbox, valid));
    if (exit !== 0) throw new Error(`${verb} of ${sandbox.id} failed: ${stdout}${stderr}`);
  }

  /** The same call, killed before its nth change to the disk. */
  async killed(nth: number, verb: "ADD" | "DEL" | "GC", sandbox: Sandbox, valid?: readonly Sandbox[]): Promise<Death> {
    return this.#killer.run(nth, this.#dir, [this.#plugin], this.#request(verb, sandbox, valid));
  }

  /** @returns what brings the disk back to how it is now. */
  keep(): () => void {
    const kept = `${this.#dir}-kept`;
    const parts = ["state", "run"].map((part) => [join(this.#dir, part), join(kept, part)] as const);
    const copy = (from: string, to: string) => {
      rmSync(to, { recursive: true, force: true });
      cpSync(from, to, { recursive: true });
    };
    for (const [at, there] of parts) copy(at, there);
    return () => {
      for (const [at, there] of parts) copy(there, at);
    };
  }

  /** Every file with its text, but for the times in it: equal for equal disks. */
  picture(): string {
    return ["state", "run"]
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
    const dir = join(this.#dir, "state/addresses", `network-${NETWORK}`);
    return files(dir).flatMap((name) =>
      JSON.parse(readFileSync(join(dir, name), "utf8")).map(
        ({ owner }: { owner: { podref: string; containerId: string } }) =>
          `${name.slice(0, -".json".length)} ${owner.podref} ${owner.containerId}`,
      ),
    );
  }

  /** `IP POD ID` of each candidate and each claim that the journal knows, and in which phase. */
  journal(): { readonly phase: string; readonly claim: string }[] {
    const dir = join(this.#dir, "state/ipam");
    return files(dir).flatMap((name) => {
      const lines = readFileSync(join(dir, name), "utf8").split("\n"); // a record, then its changes
      const { phase, owner, addresses } = Object.assign({}, ...lines.map((line) => JSON.parse(line)));
      return addresses.map(({ ip }: { ip: string }) => ({ phase, claim: `${ip} ${owner.podref} ${owner.containerId}` })); // biome-ignore format: one row
    });
  }

  get #plugin(): string {
    return join(this.#dir, "bin/railnet-ipam");
  }

  #request(verb: string, { id, pod }: Sandbox, valid?: readonly Sandbox[]) {
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
