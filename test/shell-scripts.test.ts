// Every shell script of the project, as shellcheck sees it: another reader of the language.
import { execFileSync, spawnSync } from "node:child_process";
import t from "tap";

const listed = execFileSync("git", ["ls-files", "*.sh", ".ci/run"], { encoding: "utf8" });
const scripts = listed
  .trim()
  .split("\n")
  .filter((file) => !file.startsWith("test/vm/gold/"));

t.test("shellcheck finds nothing to warn of", async (t) => {
  t.ok(scripts.length > 20, "they are found");
  const { status, stdout, error } = spawnSync("shellcheck", ["-S", "warning", "-x", "-f", "gcc", ...scripts], {
    encoding: "utf8",
  });
  t.equal(error, undefined, "shellcheck is installed: scripts/setup.sh debian, or `apt-get install shellcheck`");
  t.equal(status, 0, stdout);
});
