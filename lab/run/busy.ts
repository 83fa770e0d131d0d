import { type ChildProcess, spawn } from "node:child_process";

/** Starts loops that keep a processor busy each. They end with this process, however it ends (PR_SET_PDEATHSIG). */
export function startBusyLoops(count: number): ChildProcess[] {
  return Array.from({ length: count }, () => {
    const loop = spawn("setpriv", ["--pdeathsig", "KILL", "sh", "-c", "while :; do :; done"], {
      stdio: ["ignore", "ignore", "inherit"],
    });
    loop.once("exit", (code) => {
      if (code !== null) throw new Error(`cannot keep a processor busy: setpriv exited with ${code}`);
    });
    return loop;
  });
}
