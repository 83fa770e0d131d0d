import { spawnSync } from "node:child_process";
import { statSync } from "node:fs";
import t from "tap";

const SUPPORTED = ["0.1.0", "0.2.0", "0.3.0", "0.3.1", "0.4.0", "1.0.0", "1.1.0"];
const run = (argv: string[], env: Record<string, string> = {}, input = "") =>
  spawnSync(argv[0]!, argv.slice(1), { input, encoding: "utf8", env });

for (const { what, argv } of [
  { what: "x86-64", argv: ["dist/railnet-sriov"] },
  {
    what: "arm64, under qemu-user",
    argv: ["qemu-aarch64-static", "-L", "/usr/aarch64-linux-gnu", "dist/arm64/railnet-sriov"],
  },
]) {
  const [program, ...rest] = argv;
  const command = [program === "dist/railnet-sriov" ? program : `/usr/bin/${program}`, ...rest];
  t.test(`railnet-sriov (${what}) answers VERSION`, async (t) => {
    const { status, stdout } = run(command, { CNI_COMMAND: "VERSION" });
    t.equal(status, 0);
    t.same(JSON.parse(stdout).supportedVersions, SUPPORTED);
  });
  t.test(`railnet-sriov (${what}) refuses an ADD without environment`, async (t) => {
    const { status, stdout } = run(command, { CNI_COMMAND: "ADD" });
    t.equal(status, 1);
    t.equal(JSON.parse(stdout).code, 4);
  });
}

t.test("railnet-shim is static and below 1 MB on both machines", async (t) => {
  for (const file of ["dist/railnet-shim-x86_64", "dist/railnet-shim-aarch64"]) {
    t.ok(statSync(file).size < 1e6, `${file} has ${statSync(file).size} bytes`);
    t.notMatch(run(["/usr/bin/readelf", "-l", file]).stdout, /INTERP/, `${file} needs no interpreter`);
  }
});

t.test("railnet is one file under two names", async (t) => {
  t.equal(statSync("dist/railnet").ino, statSync("dist/railnet-sriov").ino);
});

t.test("railnet reads no .env of the directory it is started in", async (t) => {
  const { stdout } = spawnSync(`${process.cwd()}/dist/railnet-sriov`, {
    cwd: t.testdir({ ".env": "CNI_COMMAND=VERSION\n" }),
    encoding: "utf8",
    env: {},
  });
  t.equal(stdout, "");
});

t.test("railnet has no fault injection in it", async (t) => {
  const grep = (file: string) => run(["/usr/bin/grep", "-c", "RAILNET_FAULT_FILE", file]).status;
  t.equal(grep("dist/railnet"), 1, "the shipped one has not");
  t.equal(grep("dist/test/railnet"), 0, "the test build has");
});

t.test("railnet --help shows commands with examples", async (t) => {
  const { stdout } = run(["dist/railnet", "agent", "--help"]);
  t.match(stdout, /run the node agent/);
  t.match(stdout, /Examples:/);
});

t.test("railnet without a command says what to do", async (t) => {
  const { status, stderr } = run(["dist/railnet"]);
  t.equal(status, 2);
  t.equal(stderr, "railnet: cannot run this: which command; see --help\n");
});
