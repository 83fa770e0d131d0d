// What the command line asks of an agent.
import t from "tap";
import { CONTROL, control } from "../../daemonset/control.ts";

function agent() {
  const levels: string[] = [];
  const state = async () => ({ version: "0.1.0", logLevel: levels.at(-1) ?? "info" }) as never;
  return { levels, agent: { state, setLogLevel: (level: string) => levels.push(level), routes: async () => undefined } as never };
} // biome-ignore format: rows
const ask = async (stdin: string, of = agent()) => {
  const { exit, stdout } = await control({ name: CONTROL, env: {}, stdin }, of.agent);
  return { exit, said: JSON.parse(stdout), levels: of.levels };
};

for (const { stdin, exit, said, levels = [] } of [
  { stdin: '{"ask":"state"}', exit: 0, said: { version: "0.1.0", logLevel: "info" } },
  { stdin: '{"ask":"routes"}', exit: 0, said: null },
  { stdin: '{"ask":"log-level","level":"debug"}', exit: 0, said: { version: "0.1.0", logLevel: "debug" }, levels: ["debug"] },
  { stdin: '{"ask":"log-level","level":"loud"}', exit: 1, said: { msg: "cannot set the log level: want debug, info, warn" } },
  { stdin: '{"ask":"log-level"}', exit: 1, said: { msg: "cannot set the log level: want debug, info, warn" } },
  { stdin: '{"ask":"other"}', exit: 1, said: { msg: "cannot answer: this version does not know the question" } },
  { stdin: "null", exit: 1, said: { msg: "cannot answer: this version does not know the question" } },
]) // biome-ignore format: rows
  t.test(`control() answers ${stdin}`, async (t) => t.same(await ask(stdin), { exit, said, levels }));

t.test("control() never throws", async (t) => {
  t.match(await ask("{"), { exit: 1, said: { msg: /JSON/ } });
  const broken = { state: () => Promise.reject(new Error("stuck")) } as never;
  const { exit, stdout } = await control({ name: CONTROL, env: {}, stdin: '{"ask":"state"}' }, broken);
  t.same([exit, JSON.parse(stdout)], [1, { msg: "stuck" }]);
  const routed = { routes: async () => ({ off: "", peers: [] }) } as never;
  t.same(JSON.parse((await control({ name: CONTROL, env: {}, stdin: '{"ask":"routes"}' }, routed)).stdout), { off: "", peers: [] }); // biome-ignore format: one row
});
