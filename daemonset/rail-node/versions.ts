import { execFile } from "node:child_process";
import { statSync } from "node:fs";
import { join } from "node:path";
import { promisify } from "node:util";
import { onHost } from "../../cni/host-root.ts";
import type { KubeObject } from "../../kubernetes/cluster.ts";

/** The fields of the Node object that are read. */
export interface NodeObject extends KubeObject {
  readonly status?: {
    readonly nodeInfo?: { readonly containerRuntimeVersion?: string; readonly kubeletVersion?: string };
  };
}

/** `containerd://2.4.2` as `2.4.2`; another runtime's with its name. */
export function runtimeOf({ status }: NodeObject): { containerd?: string; kubelet?: string } {
  const { containerRuntimeVersion: runtime, kubeletVersion: kubelet } = status?.nodeInfo ?? {};
  return {
    ...(runtime && { containerd: runtime.replace("containerd://", "") }),
    ...(kubelet && { kubelet: kubelet.replace(/^v/, "") }),
  };
}

/** Root's own executables on a node; thick Multus installs its shim beside the thin one's name. */
const MULTUS = [
  ["thick", "multus-shim"],
  ["thin", "multus"],
] as const;
const TIME_LIMIT_MS = 3_000;
const VERSION = /^v?\d{1,9}\.\d{1,9}\.\d/;

/**
 * `thick 4.3.0`, `thin`: which Multus is on the node, from its executable, which is asked for its version once per file.
 * Undefined if there is none, and in the pod of a thick one that brings no executable.
 */
export class MultusVersion {
  readonly #dir: string;
  #asked = "";
  #answer: string | undefined;

  /** @param hostRoot the host's root directory as this process sees it. */
  constructor(hostRoot: string) {
    this.#dir = onHost(hostRoot, "/opt/cni/bin");
  }

  async read(): Promise<string | undefined> {
    const found = MULTUS.map(([kind, name]) => ({ kind, path: join(this.#dir, name) })).find(({ path }) =>
      statSync(path, { throwIfNoEntry: false })?.isFile(),
    );
    const sign = found && `${found.path} ${statSync(found.path, { throwIfNoEntry: false })?.mtimeMs}`;
    if (sign === this.#asked) return this.#answer;
    this.#asked = sign ?? "";
    this.#answer = found && [found.kind, await versionOf(found.path)].filter(Boolean).join(" ");
    return this.#answer;
  }
}

/** Go's plugins print their version with `--version`; without a CNI command they do nothing else. */
async function versionOf(path: string): Promise<string | undefined> {
  try {
    const { stdout, stderr } = await promisify(execFile)(path, ["--version"], { timeout: TIME_LIMIT_MS, env: {} });
    const words = `${stdout}${stderr}`.split(/[\s:,@]/);
    return words
      .find((word) => VERSION.test(word))
      ?.replace(/^v/, "")
      .slice(0, 40);
  } catch {
    return undefined;
  }
}
