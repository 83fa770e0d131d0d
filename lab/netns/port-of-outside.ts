import { spawn } from "node:child_process";
import { once } from "node:events";
import { connect, createServer } from "node:net";
import { join } from "node:path";
import type { Netns } from "./netns.ts";

/** Makes a port of this machine's loopback one of some namespaces' loopbacks, too, until disposed: by unix sockets, which know no namespace. */
export async function portOfOutside(port: number, folder: string, namespaces: readonly Netns[]): Promise<Disposable> {
  const path = join(folder, `port-${port}.sock`);
  const server = createServer((inside) => {
    const outside = connect(port, "127.0.0.1");
    inside.pipe(outside).pipe(inside);
    for (const [one, other] of [[inside, outside], [outside, inside]] as const) one.on("error", () => other.destroy()); // biome-ignore format: one row
  }).listen(path);
  await once(server, "listening");
  const script = join(import.meta.dirname, "port.ts");
  const ends = namespaces.map((netns) => spawn(...netns.enter("setpriv", "--pdeathsig", "KILL", process.execPath, script, `${port}`, path))); // biome-ignore format: one row
  await Promise.all(ends.map(({ stdout }) => once(stdout, "data")));
  return {
    [Symbol.dispose]() {
      for (const end of ends) end.kill("SIGKILL");
      server.close();
    },
  };
}
