import { execFileSync, spawnSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync, statSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import t from "tap";

const dir = mkdtempSync(join(tmpdir(), "shim-build-"));
const build = join(import.meta.dirname, "../../../cni/shim/build.sh");
t.setTimeout(600_000); // a busy machine
t.teardown(() => rmSync(dir, { recursive: true, force: true }));

/** ELF64: e_machine, and the types of the program headers. */
function readElf(path: string): { machine: number; segments: number[] } {
  const elf = readFileSync(path);
  const [start, size, count] = [Number(elf.readBigUInt64LE(32)), elf.readUInt16LE(54), elf.readUInt16LE(56)];
  const segments = Array.from({ length: count }, (_, i) => elf.readUInt32LE(start + i * size));
  return { machine: elf.readUInt16LE(18), segments };
}

const PT_DYNAMIC = 2;
const PT_INTERP = 3;
const MACHINES = [
  { arch: "x86_64", machine: 62, qemu: "qemu-x86_64-static" },
  { arch: "aarch64", machine: 183, qemu: "qemu-aarch64-static" },
];

execFileSync(build, [dir]);

for (const { arch, machine, qemu } of MACHINES) {
  const path = join(dir, `railnet-shim-${arch}`);
  t.test(`build.sh makes a static executable of less than 1 MB for ${arch}`, async (t) => {
    const elf = readElf(path);
    t.equal(elf.machine, machine);
    t.same(
      elf.segments.filter((type) => type === PT_INTERP || type === PT_DYNAMIC),
      [],
    );
    t.ok(statSync(path).size < 1_000_000, `${statSync(path).size} bytes`);
  });

  const native = { x64: "x86_64", arm64: "aarch64" }[process.arch as string] === arch;
  const canRun = native || spawnSync(qemu, ["--version"]).status === 0;
  t.test(
    `build.sh makes an executable that runs for ${arch}`,
    { skip: canRun ? false : `${qemu} is missing` },
    async (t) => {
      const argv = ["-0", "railnet-host-exec", path];
      const { status, stdout } = native
        ? spawnSync(path, { argv0: "railnet-host-exec", encoding: "utf8" })
        : spawnSync(qemu, argv, { encoding: "utf8" });
      t.equal(status, 1);
      t.match(JSON.parse(stdout), { cniVersion: "1.1.0", code: 4, msg: /^cannot run a host binary: want:/ });
    },
  );
}

t.test("build.sh says which compiler is missing", async (t) => {
  const { status, stderr } = spawnSync(build, [dir, "pdp11"], { encoding: "utf8" });
  t.same([status, stderr], [1, "build.sh: pdp11-linux-gnu-gcc is missing\n"]);
});
