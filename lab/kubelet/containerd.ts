import { pathOfPeers, peer } from "../cluster/api-server.ts";
import type { Json } from "../cluster/raw.ts";
import { until } from "../until.ts";
import type { Computer, Program } from "./computer.ts";
import { PAUSE } from "./image.ts";

const SOCKET = "/run/containerd/containerd.sock";

// restrict_oom_score_adj: where root lacks CAP_SYS_RESOURCE, runc fails otherwise with "can't get final child's PID from pipe: EOF".
const CONFIG = `
version = 4
[plugins."io.containerd.cri.v1.images".pinned_images]
  sandbox = "${PAUSE}"
[plugins."io.containerd.cri.v1.runtime"]
  disable_apparmor = true
  restrict_oom_score_adj = true
[plugins."io.containerd.cri.v1.runtime".cni]
  bin_dirs = ["/opt/cni/bin"]
  conf_dir = "/etc/cni/net.d"
`;

/** containerd 2.4.2 on a node, with runc of the machine's distribution. */
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
    const process = await this.#node.spawn("containerd", [peer("containerd")], { PATH: pathOfPeers() });
    this.#process = process;
    await until(
      "containerd answers",
      async () => {
        if (process.ended) throw new Error(`containerd ended: ${process.log().slice(-2000)}`);
        return (await this.#node.run([peer("ctr"), "version"])).exit === 0;
      },
      { limitMs: 300_000, everyMs: 50 },
    );
  }

  /** Stops it; pods keep running. */
  async stop(signal?: NodeJS.Signals): Promise<void> {
    await this.#process?.stop(signal);
  }

  /** @param archive on this machine, below /tmp. */
  async load(archive: string): Promise<void> {
    await this.#node.exec([peer("ctr"), "-n", "k8s.io", "images", "import", archive]);
  }

  /** The answer of a crictl(1) command that supports JSON. */
  async crictl(verb: string, ...args: string[]): Promise<Json> {
    return JSON.parse(
      await this.#node.exec([peer("crictl"), "-r", Containerd.socket, "-t", "5m", verb, "-o", "json", ...args]),
    );
  }
}
