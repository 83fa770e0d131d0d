import { execFileSync } from "node:child_process";
import { createHash } from "node:crypto";
import { mkdirSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { arch, tmpdir } from "node:os";
import { join, resolve } from "node:path";
import t from "tap";
import { pathOfPeers, peer } from "../../lab/cluster/api-server.ts";
import { Daemon } from "../../lab/cluster/daemon.ts";
import { must, start } from "../../lab/netns/run.ts";
import { until } from "../../lab/until.ts";

const project = resolve(import.meta.dirname, "../..");
const dist = join(project, "dist");
const { version } = JSON.parse(readFileSync(join(project, "package.json"), "utf8"));
const work = mkdtempSync(join(tmpdir(), "railnet-image-"));
t.teardown(() => rmSync(work, { recursive: true }));

// biome-ignore lint/suspicious/noExplicitAny: what stands in the image, as it is
type Json = any;

/** Builds an image as scripts/image.sh does. @returns its digest. */
async function build(out: string, architectures: readonly string[], umask = "022"): Promise<string> {
  const command = `umask ${umask}; exec "$0" scripts/image/build.ts "$@"`;
  await must("sh", ["-c", `cd ${project}; ${command}`, process.execPath, dist, out, ...architectures]);
  return readFileSync(`${out}.digest`, "utf8").trim();
}

/** A folder with the content of an archive. */
function unpack(archive: string, to: string): string {
  mkdirSync(to);
  execFileSync("tar", ["-xpf", archive, "-C", to]);
  return to;
}

const image = join(work, "image.tar");
const digest = await build(image, ["amd64", "arm64"]);
const layout = unpack(image, join(work, "layout"));
const json = (path: string): Json => JSON.parse(readFileSync(join(layout, path), "utf8"));
const blob = ({ digest }: Json): string => `blobs/sha256/${digest.replace("sha256:", "")}`;
const index = json(blob(json("index.json").manifests[0]));
const manifests: Json[] = index.manifests.map((one: Json) => json(blob(one)));
const layers = manifests.map(({ layers }) => join(layout, blob(layers[0])));

const LOADERS = ["lib64/ld-linux-x86-64.so.2", "lib/ld-linux-aarch64.so.1"];
const LIBRARIES = ["lib/x86_64-linux-gnu", "lib/aarch64-linux-gnu"];

t.test("the image is one index with a manifest of one uncompressed layer for each architecture", async (t) => {
  const [top] = json("index.json").manifests;
  t.equal(top.digest, digest);
  t.equal(top.annotations["io.containerd.image.name"], `railnet.io/railnet:${version}`);
  t.same(
    index.manifests.map((m: Json) => m.platform),
    [
      { architecture: "amd64", os: "linux" },
      { architecture: "arm64", os: "linux" },
    ],
  );
  for (const [i, { config, layers }] of manifests.entries()) {
    t.equal(layers.length, 1);
    const { architecture, rootfs, config: settings } = json(blob(config));
    t.equal(architecture, ["amd64", "arm64"][i]);
    t.same(rootfs.diff_ids, [layers[0].digest], "the layer's digest is its content's: nothing is compressed");
    t.match(settings, { Entrypoint: ["/usr/bin/railnet"], Cmd: ["agent", "--install"] });
  }
});

t.test("every blob has the digest and the size that its descriptor says, and there are no others", async (t) => {
  const described: Json[] = [
    json("index.json").manifests[0],
    ...index.manifests,
    ...manifests.flatMap(({ config, layers }) => [config, ...layers]),
  ];
  for (const one of described) {
    const bytes = readFileSync(join(layout, blob(one)));
    t.equal(`sha256:${createHash("sha256").update(bytes).digest("hex")}`, one.digest);
    t.equal(bytes.length, one.size);
  }
  const there = execFileSync("tar", ["-tf", image], { encoding: "utf8" })
    .split("\n")
    .filter((name) => /sha256\/./.test(name));
  t.same(there.sort(), described.map(blob).sort());
});

for (const [i, architecture] of ["amd64", "arm64"].entries())
  t.test(`the layer of ${architecture} holds the executables, what they need, and nothing else`, async (t) => {
    const lines = execFileSync("tar", ["-tvf", layers[i]!, "--full-time", "--utc"], { encoding: "utf8" })
      .trim()
      .split("\n");
    const entries = lines.map((line) => line.split(/\s+/));
    t.same([...new Set(entries.map(([, owner]) => owner))], ["0/0"]);
    t.same([...new Set(entries.map(([, , , day, time]) => `${day} ${time}`))], ["1970-01-01 00:00:00"]);
    const libraries = ["libc.so.6", "libdl.so.2", "libm.so.6", "libpthread.so.0"].map(
      (name) => `${LIBRARIES[i]}/${name}`,
    );
    t.same(
      entries
        .map(([mode, , , , , ...name]) => `${mode} ${name.join(" ")}`)
        .filter((entry) => !entry.startsWith("d"))
        .sort(),
      [
        "-rw-r--r-- etc/passwd",
        "-rw-r--r-- etc/ssl/certs/ca-certificates.crt",
        ...[...libraries, LOADERS[i]].map((path) => `-rwxr-xr-x ${path}`),
        "-rwxr-xr-x usr/bin/railnet",
        "-rwxr-xr-x usr/bin/railnet-host-exec",
        "hrwxr-xr-x usr/bin/railnet-ipam link to usr/bin/railnet",
        "hrwxr-xr-x usr/bin/railnet-probe link to usr/bin/railnet-host-exec",
        "hrwxr-xr-x usr/bin/railnet-shim link to usr/bin/railnet-host-exec",
        "hrwxr-xr-x usr/bin/railnet-sriov link to usr/bin/railnet",
        "lrwxrwxrwx var/run -> ../run",
      ].sort(),
    );
    const directories = entries
      .filter(([mode]) => mode!.startsWith("d"))
      .map(([mode, , , , , name]) => `${mode} ${name}`);
    t.ok(
      directories.every((entry) => entry.startsWith("drwxr-xr-x ") || entry === "drwxrwxrwt tmp/"),
      `${directories}`,
    );
  });

t.test("two builds, with another umask and in another folder, are the same to the byte", async (t) => {
  const other = mkdtempSync(join(work, "other-"));
  t.equal(await build(join(other, "second.tar"), ["amd64", "arm64"], "077"), digest);
  t.ok(readFileSync(join(other, "second.tar")).equals(readFileSync(image)));
});

t.test("a build without executables names what is missing and leaves nothing", async (t) => {
  const empty = mkdtempSync(join(work, "empty-"));
  const out = join(empty, "image.tar");
  const { exit, stderr } = await start(process.execPath, [
    join(project, "scripts/image/build.ts"),
    empty,
    out,
    "amd64",
  ]);
  t.equal(exit, 1);
  t.match(stderr, `cannot build the image: ${empty}/railnet is missing; run scripts/build.sh`);
  t.same(execFileSync("ls", ["-A", empty], { encoding: "utf8" }), "");
});

/** In the image's root, with a /proc, as a runtime starts a process. */
const inImage = (root: string, ...command: string[]) =>
  start("unshare", ["--mount", "sh", "-c", 'mount -t proc proc "$0/proc" && exec chroot "$0" "$@"', root, ...command], {
    env: { CNI_COMMAND: "VERSION" },
    stdin: "{}",
  });

t.test("the executables start in the image's root, each by its name", async (t) => {
  const root = unpack(layers[arch() === "arm64" ? 1 : 0]!, join(work, "root"));
  t.equal(statSync(join(root, "usr/bin/railnet")).nlink, 3);
  const plugin = await inImage(root, "/usr/bin/railnet-ipam");
  t.match(JSON.parse(plugin.stdout), { cniVersion: "1.1.0" });
  const shim = await inImage(root, "/usr/bin/railnet-host-exec");
  t.match(JSON.parse(shim.stdout), { code: 4, msg: /want: railnet-host-exec/ });
  const certificates = readFileSync(join(root, "etc/ssl/certs/ca-certificates.crt"), "utf8");
  t.ok(certificates.split("-----BEGIN CERTIFICATE-----").length > 100, "certificates of the public authorities");
  rmSync(root, { recursive: true });
});

t.test("the executable of arm64 starts on the libraries of its image", async (t) => {
  const root = unpack(layers[1]!, join(work, "arm64"));
  const { stdout } = await start("qemu-aarch64-static", ["-L", root, join(root, "usr/bin/railnet"), "--version"]);
  t.equal(stdout.trim(), version);
  rmSync(root, { recursive: true });
});

t.test("containerd imports the image and runs it; an image for another processor it refuses, in words", async (t) => {
  const { ctr, stop } = await containerd(join(work, "containerd"));
  try {
    await must(peer("ctr"), ctr("images", "import", "--local", "--snapshotter", "native", image));
    const listed = await must(peer("ctr"), ctr("images", "ls"));
    t.match(listed, `railnet.io/railnet:${version}`);
    t.match(listed, digest);
    const run = [
      "run",
      "--snapshotter",
      "native",
      "--rm",
      `railnet.io/railnet:${version}`,
      "test",
      "/usr/bin/railnet",
      "--version",
    ];
    t.equal((await must(peer("ctr"), ctr(...run))).trim(), version);
    const wrong = arch() === "arm64" ? "amd64" : "arm64";
    const foreign = join(work, "foreign.tar");
    await build(foreign, [wrong]);
    const refused = await start(peer("ctr"), ctr("images", "import", "--local", "--snapshotter", "native", foreign));
    t.not(refused.exit, 0);
    t.match(refused.stderr, "no match for platform");
  } finally {
    await stop();
  }
});

/** A containerd of our own, without Kubernetes' part. */
async function containerd(dir: string) {
  mkdirSync(dir);
  const socket = join(dir, "sock");
  const config = `version = 4\nroot = "${dir}/root"\nstate = "${dir}/state"\ndisabled_plugins = ["io.containerd.grpc.v1.cri", "io.containerd.nri.v1.nri"]\n`;
  writeFileSync(join(dir, "config.toml"), config);
  const daemon = Daemon.start([peer("containerd"), "-c", join(dir, "config.toml"), "-a", socket], join(dir, "log"), {
    PATH: pathOfPeers(),
  });
  const ctr = (...args: string[]): string[] => ["-a", socket, ...args];
  await until("containerd answers", async () => {
    if (daemon.ended) throw new Error(`containerd ended: ${daemon.tail()}`);
    return (await start(peer("ctr"), ctr("version"))).exit === 0;
  });
  return { ctr, stop: () => daemon.stop() };
}
