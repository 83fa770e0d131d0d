import { isAttachName, NESTED, notIpam } from "../cni/attach-names.ts";
import type { AskLimits, Ipam } from "../cni/ipam.ts";
import { delegate, type Exec, findPlugin, hasPlugin } from "../cni/protocol/delegate.ts";
import type { Call } from "../cni/protocol/request.ts";
import type { Result } from "../cni/protocol/result.ts";
import type { Verb } from "../cni/protocol/version.ts";
import { addStatic, checkStatic } from "./static.ts";

/** Calls our own plugin with values; like the plugin's verbs, it throws errors. */
export type AskOwn = (call: Call, limits: Omit<AskLimits, "onAsk">) => Promise<Result | undefined>;

export interface IpamPluginsOptions {
  /** Runs another plugin's executable. */
  readonly exec: Exec;
  readonly askOwn: AskOwn;
  /** Names besides `railnet-ipam` that are ours on this node; otherwise `whereabouts` is the real one. */
  readonly aliases: () => readonly string[];
  /** Whether a path in CNI_PATH is that of an executable; on the host, if this process sees another root. */
  readonly isFile: (path: string) => boolean;
}

/**
 * The only way from the attach plugin to IPAM, for a stand-alone executable and for the agent: `static` is read off the
 * configuration, our own plugin is called with values, any other is the executable of that name in CNI_PATH. The attach
 * plugin's own names are refused: it has assigned nothing, and a DEL finds nothing to release.
 */
export class IpamPlugins implements Ipam {
  readonly #options: IpamPluginsOptions;

  constructor(options: IpamPluginsOptions) {
    this.#options = options;
  }

  keepsState(type: string): boolean {
    return type !== "static";
  }

  isForeign(type: string): boolean {
    return this.keepsState(type) && !this.#isOwn(type);
  }

  canRelease(type: string, { path }: Call): boolean {
    return !this.isForeign(type) || hasPlugin(type, path, this.#options.isFile);
  }

  require(type: string, call: Call): void {
    if (!this.isForeign(type)) return;
    if (isAttachName(type, call.request.name)) throw notIpam(type);
    findPlugin(type, call.path, this.#options.isFile);
  }

  async ask(verb: Verb, type: string, call: Call, { onAsk, ...limits }: AskLimits = {}): Promise<Result | undefined> {
    if (type === "static") return askStatic(verb, call);
    if (isAttachName(type, call.request.name)) {
      if (verb === "DEL") return undefined;
      throw notIpam(type);
    }
    if (this.#isOwn(type)) {
      onAsk?.();
      return this.#options.askOwn(as(verb, call), limits);
    }
    const { exec, isFile } = this.#options;
    const noticed: Exec = (request) => {
      onAsk?.();
      return exec(request);
    };
    return delegate(noticed, verb, type, nested(call), { ...limits, isFile });
  }

  #isOwn(type: string): boolean {
    return type === "railnet-ipam" || this.#options.aliases().includes(type);
  }
}

function askStatic(verb: Verb, call: Call): Result | undefined {
  if (verb === "ADD") return addStatic(call);
  if (verb === "CHECK") checkStatic(call);
  return undefined;
}

const as = (verb: Verb, call: Call): Call => ({ ...call, verb, request: withEnv(call, { CNI_COMMAND: verb }) });

const nested = (call: Call): Call => ({ ...call, request: withEnv(call, { [NESTED]: "1" }) });

const withEnv = ({ request }: Call, env: Readonly<Record<string, string>>): Call["request"] => ({
  ...request,
  env: { ...request.env, ...env },
});
