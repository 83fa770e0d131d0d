import { type ChildProcess, spawn } from "node:child_process";
import { createInterface } from "node:readline";
import type { ConnectOptions } from "../../../../ipam/connect.ts";
import type { Resource } from "../../../../kubernetes/cluster.ts";
import type { Json } from "../../../../lab/cluster/raw.ts";

export type Runtime = "node" | "bun";
export const RUNTIMES: readonly Runtime[] = ["node", "bun"];

export interface Order {
  readonly id: number;
  readonly connect: ConnectOptions;
  /** Of Cluster; `abort` of the call of this id; `follow` an informer; `flood` many creates. */
  readonly method: string;
  readonly args: readonly unknown[];
}

/** What the driver says: any number of events, then a value or an error. */
export interface Said {
  readonly id: number;
  readonly event?: Json;
  readonly value?: unknown;
  readonly error?: Failure;
}

/** An ApiError as it came over the line. */
export interface Failure {
  readonly name: string;
  readonly message: string;
  readonly status: number;
  readonly reason: string;
  readonly isUnclear: boolean;
}

/** One call that runs in the driver. */
export interface Call extends Promise<Json> {
  readonly events: Json[];
  /** Fires the signal that the call was given. */
  abort(): void;
}

/** The product's code in another process, under Node or under Bun. */
export class Remote {
  readonly #child: ChildProcess;
  readonly #calls = new Map<number, { said(said: Said): void }>();
  #last = 0;
  #stderr = "";

  constructor(runtime: Runtime, env: Readonly<Record<string, string>> = {}) {
    const bin = new URL(`../../../../node_modules/.bin/${runtime}`, import.meta.url).pathname;
    const driver = new URL("./driver.ts", import.meta.url).pathname;
    this.#child = spawn("setpriv", ["--pdeathsig", "KILL", bin, driver], {
      env: { PATH: process.env["PATH"], ...env },
    });
    createInterface({ input: this.#child.stdout! }).on("line", (line) => {
      const said: Said = JSON.parse(line);
      this.#calls.get(said.id)?.said(said);
    });
    this.#child.stderr!.on("data", (piece) => (this.#stderr += piece));
    this.#child.on("close", () => {
      const error = {
        name: "Error",
        message: `the driver ended: ${this.#stderr}`,
        status: -1,
        reason: "",
        isUnclear: false,
      };
      for (const [id, call] of this.#calls) call.said({ id, error });
    });
  }

  /** Calls a method of a Cluster with these options. Rejects with a Failure. */
  call(connect: ConnectOptions, method: string, resource: Resource, ...args: readonly unknown[]): Call {
    const id = ++this.#last;
    const events: Json[] = [];
    const done = new Promise<Json>((resolve, reject) => {
      const said = ({ event, value, error }: Said) => {
        if (event) return void events.push(event);
        this.#calls.delete(id);
        if (error) reject(error);
        else resolve(value);
      };
      this.#calls.set(id, { said });
    });
    this.#send({ id, connect, method, args: [resource, ...args] });
    done.catch(() => {}); // not asked for when a test fails before
    return Object.assign(done, { events, abort: () => this.#send({ id, connect, method: "abort", args: [] }) });
  }

  /** What a call fails with; undefined when it does not. */
  async failure(
    connect: ConnectOptions,
    method: string,
    resource: Resource,
    ...args: readonly unknown[]
  ): Promise<Failure | undefined> {
    return this.call(connect, method, resource, ...args).then(
      () => undefined,
      (failure) => failure,
    );
  }

  stop(): void {
    this.#child.kill("SIGKILL");
  }

  #send(order: Order): void {
    this.#child.stdin!.write(`${JSON.stringify(order)}\n`);
  }
}
