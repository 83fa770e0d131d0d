import { existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";

/** One call of the IPAM plugin. */
export interface IpamCall {
  readonly verb: string;
  readonly containerId: string;
  readonly ifname: string;
}

/** An IPAM plugin whose every answer is a line of shell, and which keeps a list of its calls. */
export class FakeIpam {
  readonly name = "fake-ipam";
  readonly #dir: string;
  readonly #calls: string;
  readonly #executable: string;

  /** @param bin directory for the executable, one of CNI_PATH. */
  constructor(bin: string, dir: string) {
    this.#dir = dir;
    this.#calls = join(dir, "calls");
    mkdirSync(dir, { recursive: true });
    this.#executable = join(bin, this.name);
    this.install();
    this.reset();
  }

  install(): void {
    writeFileSync(this.#executable, script(this.#dir), { mode: 0o755 });
  }

  remove(): void {
    rmSync(this.#executable);
  }

  /** No calls so far; ADD gives one IPv4 address, all else succeeds. */
  reset(): void {
    for (const file of ["ADD", "CHECK", "DEL", "GC", "STATUS"]) rmSync(join(this.#dir, file), { force: true });
    writeFileSync(this.#calls, "");
    this.gives({ ips: [{ address: "10.20.0.5/24", gateway: "10.20.0.1" }] });
  }

  /** The next calls of this verb run this shell; `$CNI_CONTAINERID` and the like are there. */
  on(verb: string, shell: string): void {
    writeFileSync(join(this.#dir, verb), shell);
  }

  /** ADD answers this result. */
  gives(result: object): void {
    this.on("ADD", `cat <<'END'\n${JSON.stringify({ cniVersion: "1.1.0", ...result })}\nEND\n`);
  }

  calls(verb?: string): IpamCall[] {
    return readFileSync(this.#calls, "utf8")
      .split("\n")
      .filter(Boolean)
      .map((line) => line.split(" "))
      .map(([v = "", containerId = "", ifname = ""]) => ({ verb: v, containerId, ifname }))
      .filter((call) => !verb || call.verb === verb);
  }

  /** The last call's stdin and environment. */
  last(verb: string): { stdin: string; env: string } | undefined {
    const file = (kind: string) => join(this.#dir, `${verb}.${kind}`);
    if (!existsSync(file("stdin"))) return undefined;
    return { stdin: readFileSync(file("stdin"), "utf8"), env: readFileSync(file("env"), "utf8") };
  }
}

/** Reads its stdin, as a plugin does. */
const script = (dir: string): string => `#!/bin/sh
echo "$CNI_COMMAND $CNI_CONTAINERID $CNI_IFNAME" >> ${dir}/calls
cat > "${dir}/$CNI_COMMAND.stdin"
env > "${dir}/$CNI_COMMAND.env"
[ ! -f "${dir}/$CNI_COMMAND" ] || . "${dir}/$CNI_COMMAND"
`;
