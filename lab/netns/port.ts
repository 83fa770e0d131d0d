// A port of a network namespace's loopback whose connections go to a unix socket: arguments PORT PATH. Says "ready" once it listens.
import { connect, createServer } from "node:net";

const [port, path] = process.argv.slice(2) as [string, string];
createServer((inside) => {
  const outside = connect(path);
  inside.pipe(outside).pipe(inside);
  for (const [one, other] of [[inside, outside], [outside, inside]] as const) one.on("error", () => other.destroy()); // biome-ignore format: one row
}).listen(Number(port), "127.0.0.1", () => console.log("ready"));
