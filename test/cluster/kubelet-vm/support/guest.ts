import { execFileSync } from "node:child_process";
import { mkdirSync, readFileSync, rmSync } from "node:fs";
import { join } from "node:path";
import type { Computer, Program } from "../../../../lab/kubelet/computer.ts";
import type { Reply } from "../../../../lab/vm/channel.ts";
import { Machine, stateRoot } from "../../../../lab/vm/machine.ts";

const INIT = join(import.meta.dirname, "guest-init.sh");
const COMMAND_MS = 600_000;
const EVER_MS = 7_200_000;
/** The host's loopback, as the guest sees it. */
const HOST = "10.0.2.2";

/** Writes standard input to a file: in one step, its folders too. */
// biome-ignore lint/suspicious/noTemplateCurlyInString: it is the shell's
const WRITE = 'set -e; mkdir -p "${1%/*}"; cat > "$1.new"; chmod "$2" "$1.new"; mv "$1.new" "$1"';
/** Runs a program; what it says goes to a file, the end of it to the test. */
const RUN =
  'name=$0; "$@" > "/run/$name.log" 2>&1 < /dev/null & echo $! > "/run/$name.pid"; wait $!; exit=$?; tail -c 4000 "/run/$name.log"; exit $exit';

/** A test machine with four real PFs as a node, whose power can be cut. */
export class Guest implements Computer, AsyncDisposable {
  readonly name: string;
  readonly folder: string;
  readonly ip = "10.0.2.15";
  readonly apiServer: string;
  #machine: Machine | undefined;

  private constructor(name: string, apiServer: string) {
    this.name = name;
    this.apiServer = apiServer;
    this.folder = join(stateRoot(), `${name}.files`);
    rmSync(this.folder, { recursive: true, force: true }); // of one that was killed
    mkdirSync(this.folder, { recursive: true });
    execFileSync("mkfs.ext4", ["-qF", this.#disk, "4G"]); // takes what is written to it
  }

  /**
   * Boots it.
   *
   * @param apiServer URL of the API server on this machine.
   */
  static async start(name: string, apiServer: string): Promise<Guest> {
    const guest = new Guest(name, apiServer.replace("127.0.0.1", HOST));
    try {
      await guest.boot();
    } catch (error) {
      await guest.stop();
      throw error;
    }
    return guest;
  }

  /** Switches it on, with what was on its disk. Nothing of a node runs yet. */
  async boot(): Promise<void> {
    const size = { memoryMiB: 2560, cpus: 2 };
    this.#machine = await Machine.start({
      name: this.name,
      vfs: 0,
      hostPorts: true,
      disk: this.#disk,
      ...size,
    });
    await this.exec(["bash", "-c", readFileSync(INIT, "utf8")]);
  }

  /** What runs in it learns nothing. */
  async cutPower(): Promise<void> {
    await this.#machine?.cutPower();
    this.#machine = undefined;
  }

  async stop(): Promise<void> {
    await this.#machine?.stop();
    rmSync(this.folder, { recursive: true, force: true });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.stop();
  }

  async write(path: string, text: string, mode = 0o644): Promise<void> {
    await this.#must(["bash", "-c", WRITE, "write", path, mode.toString(8)], { stdin: text });
  }

  exec(command: readonly string[], env = {}): Promise<string> {
    return this.#must(command, { env });
  }

  run(
    command: readonly string[],
    options: { env?: Readonly<Record<string, string>>; stdin?: string } = {},
  ): Promise<Reply> {
    return this.#on.exec(command, { timeoutMs: COMMAND_MS, ...options });
  }

  async spawn(name: string, command: readonly string[], env = {}): Promise<Program> {
    let last: string | undefined;
    const say = (text: string) => {
      last = text;
    };
    const running = this.#on.exec(["bash", "-c", RUN, name, ...command], { env, timeoutMs: EVER_MS });
    const end = running.then(
      ({ stdout, exit }) => say(`${stdout}(exit ${exit})`),
      (error) => say(error.message),
    );
    const signal = (how: NodeJS.Signals) => this.run(["bash", "-c", `kill -s ${how.slice(3)} $(< /run/${name}.pid)`]);
    return {
      get ended() {
        return last !== undefined;
      },
      log: () => last ?? "",
      signal: (how) => void signal(how),
      async stop(how = "SIGTERM") {
        await signal(how);
        await end;
      },
    };
  }

  get #on(): Machine {
    if (!this.#machine) throw new Error(`${this.name} is without power`);
    return this.#machine;
  }

  get #disk(): string {
    return join(this.folder, "disk");
  }

  async #must(command: readonly string[], options: Parameters<Guest["run"]>[1]): Promise<string> {
    const { exit, stdout, stderr } = await this.run(command, options);
    if (exit !== 0) throw new Error(`${command.join(" ")} on ${this.name}: ${stderr || stdout} (exit ${exit})`);
    return stdout;
  }
}
