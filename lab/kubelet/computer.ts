import type { ApiServer } from "../cluster/api-server.ts";
import type { Ran } from "../netns/run.ts";
import type { Containerd } from "./containerd.ts";
import type { Pods } from "./pods.ts";
import type { Rail } from "./rails.ts";

type Env = Readonly<Record<string, string>>;

/** A program that runs on a computer until it is stopped. */
export interface Program {
  readonly ended: boolean;
  /** Its output; on a test machine only the end of it, once it has ended. */
  log(): string;
  signal(signal: NodeJS.Signals): void;
  /** Stops it and waits for its end. */
  stop(signal?: NodeJS.Signals): Promise<void>;
}

/** What a node is made of: namespaces of this machine (node.ts), or a test machine with real VFs. */
export interface Computer {
  readonly name: string;
  /** A directory of this machine with the same path on the node: logs, images. */
  readonly folder: string;
  /** Its own address. */
  readonly ip: string;
  /** URL of the API server, as seen from it. */
  readonly apiServer: string;
  /** Writes a file of the node atomically, creating its directories. */
  write(path: string, text: string, mode?: number): void | Promise<void>;
  /** Runs a command on the node. @throws {Error} with its standard error when it fails. */
  exec(command: readonly string[], env?: Env): Promise<string>;
  /** Like exec(), but every exit is an answer. */
  run(
    command: readonly string[],
    options?: { env?: Env; stdin?: string },
  ): Promise<Pick<Ran, "exit" | "stdout" | "stderr">>;
  /** Starts a program. */
  spawn(name: string, command: readonly string[], env?: Env): Promise<Program>;
}

/** Where pods are created: everything needed to start what runs on a node. */
export interface Place {
  readonly api: ApiServer;
  readonly node: Computer;
  readonly containerd: Containerd;
}

/** Where pods are given rails. */
export interface RailPlace extends Place {
  readonly pods: Pods;
  readonly rails: readonly Rail[];
}
