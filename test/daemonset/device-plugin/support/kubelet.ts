import { lstatSync, readdirSync, rmSync } from "node:fs";
import { join } from "node:path";
import grpc from "@grpc/grpc-js";
import { DevicePlugin, Registration } from "./api.ts";

export interface ListedDevice {
  readonly ID: string;
  readonly health: string;
  readonly topology: { readonly nodes: readonly { readonly ID: number }[] } | null;
}

export interface Registered {
  readonly version: string;
  readonly endpoint: string;
  readonly resource_name: string;
  readonly options: object;
}

/** What a kubelet knows of a resource. */
interface Endpoint {
  readonly client: grpc.Client;
  readonly stream: grpc.ClientReadableStream<{ devices: ListedDevice[] }>;
  devices: readonly ListedDevice[];
  /** How many lists came. */
  lists: number;
  ended: boolean;
}

type Call = (method: string, request: object) => Promise<never>;

/** The device manager of a kubelet (pkg/kubelet/cm/devicemanager), as far as a plugin can see it. */
export class FakeKubelet {
  readonly #dir: string;
  #server: grpc.Server | undefined;
  readonly registrations: Registered[] = [];
  readonly #endpoints = new Map<string, Endpoint>();
  /** What it says to a registration; undefined takes it. */
  refuse: string | undefined;
  /** From now on it does not read what plugins send. */
  deaf = false;

  constructor(dir: string) {
    this.#dir = dir;
  }

  /** As a kubelet does: all sockets of the directory go, then it listens. */
  async start(): Promise<this> {
    for (const name of readdirSync(this.#dir))
      if (lstatSync(join(this.#dir, name)).isSocket()) rmSync(join(this.#dir, name));
    this.#server = new grpc.Server();
    this.#server.addService(Registration.service, {
      Register: (call: grpc.ServerUnaryCall<Registered, object>, done: grpc.sendUnaryData<object>) => {
        this.#register(call.request).then(
          () => done(null, {}),
          (error: Error) => done({ code: grpc.status.UNKNOWN, details: error.message }),
        );
      },
    });
    const bind = `unix:${join(this.#dir, "kubelet.sock")}`;
    await new Promise<void>((resolve, reject) =>
      this.#server!.bindAsync(bind, grpc.ServerCredentials.createInsecure(), (e) => (e ? reject(e) : resolve())),
    );
    return this;
  }

  /** @param leave its socket, as a kill does. */
  stop(leave?: "its socket"): void {
    for (const { client, stream } of this.#endpoints.values()) {
      stream.cancel();
      client.close();
    }
    this.#endpoints.clear();
    this.#server?.forceShutdown();
    if (!leave) rmSync(join(this.#dir, "kubelet.sock"), { force: true });
  }

  async restart(): Promise<void> {
    this.stop();
    await this.start();
  }

  /** Ends the stream of a resource, and does nothing about it, as the kubelet does not. */
  hangUp(resource: string): void {
    this.#endpoint(resource).stream.cancel();
  }

  get resources(): string[] {
    return [...this.#endpoints]
      .filter(([, { ended }]) => !ended)
      .map(([name]) => name)
      .sort();
  }

  /** The latest list of a resource that is connected. */
  devices(resource: string): readonly ListedDevice[] {
    const endpoint = this.#endpoints.get(resource);
    return endpoint && !endpoint.ended ? endpoint.devices : [];
  }

  lists(resource: string): number {
    return this.#endpoint(resource).lists;
  }

  /** IDs by health. */
  by(health: "Healthy" | "Unhealthy", resource: string): string[] {
    return this.devices(resource)
      .filter((device) => device.health === health)
      .map(({ ID }) => ID);
  }

  /** Reads again. */
  listen(resource: string): void {
    this.deaf = false;
    this.#endpoint(resource).stream.resume();
  }

  // biome-ignore lint/suspicious/noExplicitAny: whatever the plugin answered
  async call(resource: string, method: string, request: object): Promise<any> {
    return (callOf(this.#endpoint(resource).client) as Call)(method, request);
  }

  #endpoint(resource: string): Endpoint {
    const endpoint = this.#endpoints.get(resource);
    if (!endpoint) throw new Error(`the plugin of ${resource} is not registered`);
    return endpoint;
  }

  /** It dials back before it answers. */
  async #register(request: Registered): Promise<void> {
    this.registrations.push(request);
    if (this.refuse) throw new Error(this.refuse);
    const address = `unix:${join(this.#dir, request.endpoint)}`;
    const client = new DevicePlugin(address, grpc.credentials.createInsecure(), {
      "grpc.default_authority": "localhost",
    });
    await (callOf(client) as Call)("GetDevicePluginOptions", {});
    const open = client["ListAndWatch"] as (request: object) => Endpoint["stream"];
    const stream = open.call(client, {});
    const endpoint: Endpoint = { client, stream, devices: [], lists: 0, ended: false };
    stream.on("data", ({ devices }) => {
      endpoint.devices = devices;
      endpoint.lists++;
      if (this.deaf) stream.pause();
    });
    for (const event of ["end", "error"]) stream.on(event, () => (endpoint.ended = true));
    this.#endpoints.get(request.resource_name)?.client.close();
    this.#endpoints.set(request.resource_name, endpoint);
  }
}

function callOf(client: grpc.Client): Call {
  const methods = client as unknown as Record<string, (...args: unknown[]) => void>;
  return (method, request) =>
    new Promise((resolve, reject) => {
      methods[method]!.call(client, request, { deadline: Date.now() + 20_000 }, (error: Error | null, reply: never) =>
        error ? reject(error) : resolve(reply),
      );
    });
}
