export interface ShellReply {
  readonly exit: number;
  readonly stdout: string;
  readonly stderr: string;
}

export interface ShellLimits {
  /** Ends the command, and with it everything that it started there; `sh` then rejects with the signal's reason. */
  readonly signal: AbortSignal;
  /** The same at this time, with ETIMEDOUT. */
  readonly limitMs: number;
}

/** Where commands run: a node, or a pod on it. */
export interface Place {
  /** As messages name it: `n0`, `pod default/perf-a`. */
  readonly name: string;
  /** Runs text of a POSIX shell; resolves whatever its exit status, rejects when it did not come to its end. */
  sh(text: string, limits: ShellLimits): Promise<ShellReply>;
}

/** The links of one rail at both ends, in the hosts' namespaces or in the pods'. */
export interface Side {
  readonly kind: "host" | "pod";
  /** Both ends; the first one is the client of the first direction. */
  readonly places: readonly [Place, Place];
  /** By rail, what its link is called at each end; undefined where an end does not have the rail. */
  readonly rails: ReadonlyMap<string, readonly [string | undefined, string | undefined]>;
}
