import { execFileSync } from "node:child_process";
import { getPriority } from "node:os";
import t from "tap";

const SCRIPT = `
  const { takePriority } = await import("./daemonset/priority.ts");
  takePriority({ info: (facts, message) => console.log(message, JSON.stringify(facts)) });
  const { execFileSync } = await import("node:child_process");
  console.log(execFileSync("ps", ["-o", "ni=", "-p", process.pid], { encoding: "utf8" }).trim());
`;
/** From niceness 0, whatever the tests run with. */
const run = (...before: string[]): string[] =>
  execFileSync("nice", ["-n", `${-getPriority()}`, ...before, process.execPath, "--input-type=module", "-e", SCRIPT], {
    encoding: "utf8",
  })
    .trim()
    .split("\n");

t.test("takePriority() puts the agent before other processes", async (t) => {
  t.same(run(), ["-10"]);
});

t.test("takePriority() leaves a higher priority alone", async (t) => {
  t.same(run("nice", "-n", "-15"), ["-15"]);
});

t.test("takePriority() says so where it may not, and changes nothing", async (t) => {
  const [said, nice] = run("setpriv", "--bounding-set=-sys_nice", "--inh-caps=-sys_nice");
  t.match(said, /^cannot raise the agent's priority: .* \{"nice":-10,"error":".*EACCES/);
  t.equal(nice, "0");
});
