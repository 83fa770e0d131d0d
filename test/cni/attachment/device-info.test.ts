import { execFileSync } from "node:child_process";
import { lstatSync, mkdirSync, readdirSync, readFileSync, symlinkSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import t, { type Test } from "tap";
import { checkDeviceInfoPath, removeDeviceInfo, writeDeviceInfo } from "../../../cni/attachment/device-info.ts";
import type { AttachConfig } from "../../../cni/config.ts";
import type { Host } from "../../../cni/host.ts";

const OURS = "0000:af:06.0";
const OTHER = "0000:af:06.1";
const info = (pci: string, rest: object = {}) =>
  JSON.stringify({ type: "pci", version: "1.1.0", pci: { "pci-address": pci, ...rest } });

/** A directory with one file in it, unless `text` is undefined. */
function place(t: Test, text?: string) {
  const dir = t.testdir(text === undefined ? {} : { file: text });
  const file = join(dir, "file");
  const config = { deviceInfoFile: file, deviceID: OURS } as AttachConfig;
  const warnings: unknown[] = [];
  const log = { debug: () => {}, info: () => {}, warn: (fields: object) => void warnings.push(fields) };
  const host = { paths: { deviceInfoDir: dir } } as Host;
  const write = () => writeDeviceInfo(config, { pci: OURS } as never, ["mlx5_4"]);
  return { dir, file, config, host, write, warnings, remove: () => removeDeviceInfo(file, OURS, log) };
}

for (const [what, text] of [
  ["no file", undefined],
  ["what the device plugin wrote for this VF", info(OURS)],
  ["the same in capitals", info(OURS.toUpperCase())],
  ["an empty file", ""],
  ["one that names no device", JSON.stringify({ type: "pci" })],
  ["half a file", info(OTHER).slice(0, 20)],
] as const)
  t.test(`writeDeviceInfo() takes the place of ${what}, and removeDeviceInfo() removes it`, async (t) => {
    const { file, config, host, write, remove, dir, warnings } = place(t, text);
    checkDeviceInfoPath(config, host);
    write();
    t.same(JSON.parse(readFileSync(file, "utf8")).pci, { "pci-address": OURS, "rdma-device": "mlx5_4" });
    remove();
    remove();
    t.same([readdirSync(dir), warnings], [[], []]);
  });

for (const [what, text] of [
  ["another VF", info(OTHER)],
  ["another VF, with more", info(OTHER, { "rdma-device": "mlx5_5" })],
  ["a device of another kind", JSON.stringify({ type: "vdpa", version: "1.1.0", vdpa: { "parent-device": "x", driver: "vhost", path: "y" } })],
  ["another VF's vDPA device", JSON.stringify({ type: "vdpa", vdpa: { "pci-address": OTHER } })],
] as const) // biome-ignore format: rows
  t.test(
    `checkDeviceInfoPath() and writeDeviceInfo() refuse the file of ${what}, removeDeviceInfo() leaves it`,
    async (t) => {
      const { file, config, host, write, remove, warnings } = place(t, text);
      const refusal = { code: 7, message: /CNIDeviceInfoFile ".*file": that file describes/ };
      t.throws(() => checkDeviceInfoPath(config, host), refusal);
      t.throws(write, refusal, "also when it came to be there in between");
      remove();
      t.equal(readFileSync(file, "utf8"), text);
      t.equal(warnings.length, 1);
    },
  );

for (const [what, make] of [
  ["a link to another VF's file", (file: string) => symlinkSync("victim", file)],
  ["a link to nowhere", (file: string) => symlinkSync("nowhere", file)],
  ["a directory", (file: string) => mkdirSync(file)],
  ["a pipe", (file: string) => void execFileSync("mkfifo", [file])],
] as const)
  t.test(`checkDeviceInfoPath() refuses ${what}, removeDeviceInfo() leaves it and what it leads to`, async (t) => {
    const { dir, file, config, host, write, remove } = place(t);
    writeFileSync(join(dir, "victim"), info(OURS));
    make(file);
    t.throws(() => checkDeviceInfoPath(config, host), { code: 7, message: /not a regular file/ });
    t.throws(write, { code: 7 });
    remove();
    t.ok(lstatSync(file));
    t.equal(readFileSync(join(dir, "victim"), "utf8"), info(OURS));
  });

t.test("writeDeviceInfo() follows no link under its temporary name", async (t) => {
  const { dir, write } = place(t);
  writeFileSync(join(dir, "victim"), "as it was");
  symlinkSync("victim", join(dir, ".file.railnet"));
  write();
  t.equal(readFileSync(join(dir, "victim"), "utf8"), "as it was");
  t.same(readdirSync(dir).sort(), ["file", "victim"]);
});

for (const path of ["/etc/passwd", "sub/../../x", "sub/file", ".", "", "\0", "file\0"])
  t.test(`checkDeviceInfoPath() refuses ${JSON.stringify(path)} in the directory`, async (t) => {
    const { dir, host } = place(t);
    const config = { deviceInfoFile: path.startsWith("/") ? path : `${dir}/${path}`, deviceID: OURS } as AttachConfig;
    t.throws(() => checkDeviceInfoPath(config, host), { code: 7, message: /want a file in/ });
  });

t.test("removeDeviceInfo() never fails", async (t) => {
  const { file, warnings } = place(t, info(OURS));
  const log = { debug: () => {}, info: () => {}, warn: (fields: object) => void warnings.push(fields) };
  removeDeviceInfo(`${file}/below-a-file`, OURS, log);
  removeDeviceInfo(join(file, "..", "x".repeat(300)), OURS, log);
  t.equal(warnings.length, 2);
});
