import { peer } from "../cluster/api-server.ts";
import type { Json } from "../cluster/raw.ts";
import { until } from "../netns/run.ts";
import type { Computer, Program } from "./computer.ts";
import { PAUSE } from "./image.ts";

const SOCKET = "/run/containerd/containerd.sock";

// restrict_oom_score_adj: where root lacks CAP_SYS_RESOURCE, runc fails otherwise with "can't get final child's PID from pipe: EOF".
const CONFIG = `
version = 2
[plugins."io.containerd.grpc.v1.cri"]
  sandbox_image = "${PAUSE}"
  disable_apparmor = true
  restrict_oom_score_adj = true
[plugins."io.containerd.grpc.v1.cri".cni]
  bin_dir = "/opt/cni/bin"
  conf_dir = "/etc/cni/net.d"
`;

/** containerd of the machine's distribution, on a node. */
export class Containerd {
  static readonly socket = `unix://${SOCKET}`;
  readonly #node: Computer;
  #process: Program | undefined;

  constructor(node: Computer) {
    this.#node = node;
  }

  /** Starts it, and waits until it answers. */
  async start(): Promise<void> {
    await this.#node.write("/etc/containerd/config.toml", CONFIG);
    const process = await this.#node.spawn("containerd", ["containerd"]);
    this.#process = process;
    await until("containerd answers", async () => {
      if (process.ended) throw new Error(`containerd ended: ${process.log().slice(-2000)}`);
      return (await this.#node.run(["ctr", "version"])).exit === 0;
    }, 300_000, 50); // biome-ignore format: one condition
  }

  /** Ends it; pods go on. */
  async stop(signal?: NodeJS.Signals): Promise<void> {
    await this.#process?.stop(signal);
  }

  /** @param archive on this machine, below /tmp. */
  async load(archive: string): Promise<void> {
    await this.#node.exec(["ctr", "-n", "k8s.io", "images", "import", archive]);
  }

  /** The answer of a command of crictl(1), which must be one that speaks JSON. */
  async crictl(verb: string, ...args: string[]): Promise<Json> {
    return JSON.parse(
      await this.#node.exec([peer("crictl"), "-r", Containerd.socket, "-t", "5m", verb, "-o", "json", ...args]),
    );
  }
}
