import { execFileSync } from "node:child_process";
import { copyFileSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { loadAll } from "js-yaml";
import t from "tap";
import { kubernetes, peer } from "../../lab/cluster/api-server.ts";
import { must, type Ran, start } from "../../lab/netns/run.ts";
import { notesOf } from "../../scripts/release/notes.ts";
import { keyOf } from "../../scripts/release/npm-packages.ts";

// biome-ignore lint/suspicious/noExplicitAny: what stands in the files, as it is
type Json = any;
const PROJECT = new URL("../../", import.meta.url).pathname;
const { version, packages } = { ...JSON.parse(readFileSync(join(PROJECT, "package-lock.json"), "utf8")) };
const work = mkdtempSync(join(tmpdir(), "railnet-release-"));
t.teardown(() => rmSync(work, { recursive: true }));
const REPOSITORY = "registry.example.com/net/railnet";

const changelog = join(work, "CHANGELOG.md");
writeFileSync(
  changelog,
  `# Changelog\n\n## [Unreleased]\n\n- later\n\n## [${version}] - 2026-11-01\n\n- this one\n\n## [0.0.1]\n\n- before\n`,
);

/** What a build gives, but with small executables: the image's own tests look at the large ones. */
const dist = join(work, "dist");
for (const [folder, compiler, machine] of [
  [dist, "gcc", "x86_64"],
  [join(dist, "arm64"), "aarch64-linux-gnu-gcc", "aarch64"],
] as const) {
  mkdirSync(folder);
  const build = (...args: string[]) =>
    execFileSync(compiler, ["-x", "c", "-", "-O1", ...args], { input: "int main(void) { return 0; }" });
  build("-o", join(folder, "railnet"));
  build("-static", "-o", join(dist, `railnet-shim-${machine}`));
}
copyFileSync(join(PROJECT, "dist/railnet.meta.json"), join(dist, "railnet.meta.json"));

/** As scripts/release.sh does after the build. */
async function release(out: string, umask: string, ...more: string[]): Promise<Ran> {
  mkdirSync(out, { recursive: true });
  const command = `umask ${umask}; exec "$0" "$@"`;
  const args = [
    join(PROJECT, "scripts/release/release.ts"),
    "--changelog",
    changelog,
    "--dist",
    dist,
    "--out",
    join(out, "release"),
    ...more,
  ];
  return start("sh", ["-c", command, process.execPath, ...args], { env: { HOME: work, TZ: `UTC-${umask.length}` } });
}

const first = await release(join(work, "a"), "022", "--repository", REPOSITORY);
if (first.exit !== 0) throw new Error(first.stderr);
const folder = join(work, "a/release");
const text = (name: string) => readFileSync(join(folder, name), "utf8");
const unpack = (name: string, to = join(work, name.replace(/\..*/, ""))): string => {
  mkdirSync(to);
  execFileSync("tar", ["-xf", join(folder, name), "-C", to]);
  return to;
};

t.test("a release has its files, a table of them, and checksums that hold", async (t) => {
  const names = [
    `railnet-${version}.cdx.json`,
    `railnet-${version}.yaml`,
    `railnet-chart-${version}.tgz`,
    `railnet-image-${version}.tar`,
    `railnet-perftest-image-${version}.tar`,
    `railnet-library-${version}.tgz`,
    `railnet-manifests-${version}.tar.gz`,
    "RELEASE_NOTES.md",
    "SHA256SUMS",
  ];
  t.same(readdirSync(folder).sort(), names.sort());
  for (const name of names) t.match(first.stdout, `│ ${name} `);
  const checked = execFileSync("sha256sum", ["-c", "SHA256SUMS"], { cwd: folder, encoding: "utf8" });
  t.equal(checked.trim().split("\n").length, names.length - 1);
});

t.test("a second release, with another umask, time zone and folder, is the same to the byte", async (t) => {
  const second = await release(join(work, "b/c"), "0077", "--repository", REPOSITORY);
  t.equal(second.exit, 0, second.stderr);
  t.equal(readFileSync(join(work, "b/c/release/SHA256SUMS"), "utf8"), text("SHA256SUMS"));
  execFileSync("sha256sum", ["-c", "--quiet", "SHA256SUMS"], { cwd: join(work, "b/c/release") });
  rmSync(join(work, "b"), { recursive: true });
});

t.test("the image of perftest runs what the bench calls, with libibverbs' drivers", async (t) => {
  const layout = unpack(`railnet-perftest-image-${version}.tar`, join(work, "perftest"));
  const read = (digest: string): string => join(layout, "blobs/sha256", digest.replace("sha256:", ""));
  const { manifests } = JSON.parse(readFileSync(join(layout, "index.json"), "utf8"));
  t.equal(manifests[0].annotations["io.containerd.image.name"], `${REPOSITORY}-perftest:${version}`);
  const [manifest] = JSON.parse(readFileSync(read(manifests[0].digest), "utf8")).manifests;
  const { layers } = JSON.parse(readFileSync(read(manifest.digest), "utf8"));
  const root = join(work, "perftest-root");
  mkdirSync(root);
  execFileSync("tar", ["-xf", read(layers[0].digest), "-C", root]);
  const programs = ["ib_write_bw", "ib_read_bw", "ib_send_bw", "ib_write_lat", "ip", "iperf3", "cat", "grep", "sleep"];
  const script = programs.map((name) => `command -v ${name} && { ${name} --version; [ $? != 127 ]; }`).join(" && ");
  const env = { PATH: "/usr/bin:/usr/sbin" };
  const said = execFileSync("/usr/sbin/chroot", [root, "sh", "-c", script], { encoding: "utf8", env, stdio: ["ignore", "pipe", "ignore"] }); // biome-ignore format: one row
  for (const name of programs) t.match(said, `/${name}\n`);
  t.ok(readdirSync(join(root, "etc/libibverbs.d")).includes("mlx5.driver"));
  t.ok(readdirSync(join(root, "usr/lib/x86_64-linux-gnu/libibverbs")).some((name) => name.startsWith("libmlx5")));
});

const layout = unpack(`railnet-image-${version}.tar`, join(work, "image"));
const blob = (digest: string): string => join(layout, "blobs/sha256", digest.replace("sha256:", ""));
const index: Json = JSON.parse(readFileSync(join(layout, "index.json"), "utf8")).manifests[0];
const IMAGE = `${REPOSITORY}:${version}@${index.digest}`;

t.test("manifests and chart name the image of both architectures by its digest", async (t) => {
  const { manifests } = JSON.parse(readFileSync(blob(index.digest), "utf8"));
  t.same(
    manifests.map(({ platform }: Json) => platform.architecture),
    ["amd64", "arm64"],
  );
  const objects = (yaml: string) => (loadAll(yaml) as Json[]).filter(Boolean);
  const imageOf = (yaml: string) =>
    objects(yaml).find(({ kind }) => kind === "DaemonSet").spec.template.spec.containers[0].image;
  t.equal(imageOf(text(`railnet-${version}.yaml`)), IMAGE);
  const kustomized = execFileSync(
    kubernetes("kubectl"),
    ["kustomize", join(unpack(`railnet-manifests-${version}.tar.gz`), "manifests")],
    { encoding: "utf8" },
  );
  t.equal(imageOf(kustomized), IMAGE);
  const env = { HOME: work };
  t.equal(
    imageOf(await must(peer("helm"), ["template", "railnet", join(folder, `railnet-chart-${version}.tgz`)], { env })),
    IMAGE,
  );
  t.match(text("RELEASE_NOTES.md"), IMAGE);
});

const sbom: Json = JSON.parse(text(`railnet-${version}.cdx.json`));

t.test("the SBOM is CycloneDX 1.6: kinds, identifiers, hashes, licences, and no reference to nothing", async (t) => {
  t.match(sbom, { bomFormat: "CycloneDX", specVersion: "1.6", version: 1 });
  t.match(sbom.serialNumber, /^urn:uuid:[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/);
  t.match(sbom.metadata.timestamp, /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ$/);
  const { purl } = sbom.metadata.component;
  t.ok(decodeURIComponent(purl).startsWith(`pkg:oci/railnet@${index.digest}?repository_url=${REPOSITORY}`), purl);
  const refs = [sbom.metadata.component, ...sbom.components].map((one: Json) => one["bom-ref"]);
  t.equal(new Set(refs).size, refs.length);
  const spdx = JSON.parse(readFileSync(join(PROJECT, "node_modules/spdx-license-ids/index.json"), "utf8"));
  for (const one of sbom.components) {
    const allowed = ["type", "bom-ref", "group", "name", "version", "description", "hashes", "licenses", "purl"];
    t.same(
      Object.keys(one).filter((key) => !allowed.includes(key)),
      [],
      one["bom-ref"],
    );
    t.ok(["container", "platform", "library", "file", "data"].includes(one.type), one["bom-ref"]);
    t.ok(one.type === "file" || one.version, one["bom-ref"]);
    for (const { alg, content } of one.hashes ?? [])
      t.match(content, { "SHA-256": /^[0-9a-f]{64}$/, "SHA-512": /^[0-9a-f]{128}$/ }[alg as "SHA-256"]);
    for (const { license } of one.licenses ?? []) if (license) t.ok(spdx.includes(license.id), license.id);
    if (one.purl)
      t.match(
        one.purl,
        /^pkg:(npm\/(%40[\w.-]+\/)?[\w.-]+@[\w.-]+|deb\/debian\/[\w.+-]+@[\w.%~-]+\?arch=\w+&distro=debian-12)$/,
      );
  }
  t.equal(new Set(sbom.dependencies.map(({ ref }: Json) => ref)).size, sbom.dependencies.length, "one entry for each");
  for (const { ref, dependsOn } of sbom.dependencies)
    for (const one of [ref, ...dependsOn]) t.ok(refs.includes(one), one);
});

t.test("the SBOM has every file of the image with its hash, and where it is from", async (t) => {
  const { manifests } = JSON.parse(readFileSync(blob(index.digest), "utf8"));
  for (const { digest, platform } of manifests) {
    const root = join(work, platform.architecture);
    mkdirSync(root);
    execFileSync("tar", ["-xf", blob(JSON.parse(readFileSync(blob(digest), "utf8")).layers[0].digest), "-C", root]);
    const lines = execFileSync("sh", ["-c", "find . -type f -printf '%P\\n' | LC_ALL=C sort | xargs sha256sum"], {
      cwd: root,
      encoding: "utf8",
    })
      .trim()
      .split("\n");
    const there = new Map(lines.map((line) => line.split("  ") as [string, string]));
    const said = sbom.components.filter(
      (one: Json) => one.type === "file" && one["bom-ref"].startsWith(`${platform.architecture}/`),
    );
    t.same(new Set(said.map(({ hashes }: Json) => hashes[0].content)), new Set(there.keys()));
    for (const { name, hashes } of said) t.equal(there.has(hashes[0].content), true, name);
    const needs = (path: string): string[] =>
      sbom.dependencies.find(({ ref }: Json) => ref === `${platform.architecture}/${path}`).dependsOn;
    t.ok(needs("usr/bin/railnet").some((one) => /pkg:npm\/%40oven\/bun-linux-(x64|aarch64)@/.test(one)));
    t.ok(needs("usr/bin/railnet").some((one) => one.startsWith("pkg:deb/debian/libc6")));
    t.ok(
      needs("usr/bin/railnet-shim").some((one) => one.startsWith("pkg:deb/debian/libc6-dev")),
      "the shim is static",
    );
    for (const { name } of said.filter(({ name }: Json) => /^lib/.test(name)))
      t.equal(needs(name).length, 1, `${name} is a package's`);
    rmSync(root, { recursive: true });
  }
});

t.test("the SBOM's npm packages are those that are compiled in, as the lock file has them", async (t) => {
  const npm = sbom.components.filter(({ purl, type }: Json) => type === "library" && purl?.startsWith("pkg:npm/"));
  const names = npm.map(({ group, name }: Json) => (group ? `${group}/${name}` : name));
  for (const name of ["pino", "yargs", "js-yaml", "netlink", "@kubernetes/client-node"])
    t.ok(names.includes(name), name);
  for (const name of ["tap", "typescript", "tsup", "fast-check", "prom-client", "@biomejs/biome"])
    t.notOk(names.includes(name), `${name} is a developer's`);
  for (const { group, name, version, hashes } of npm) {
    const full = group ? `${group}/${name}` : name;
    const locked = Object.entries<Json>(packages).filter(
      ([key, one]) => key.endsWith(`node_modules/${full}`) && one.version === version,
    );
    t.ok(
      locked.some(
        ([, { integrity }]) => integrity === `sha512-${Buffer.from(hashes[0].content, "hex").toString("base64")}`,
      ),
      full,
    );
  }
});

t.test("keyOf() finds the innermost package of a path", async (t) => {
  for (const [path, key] of [
    ["node_modules/a/lib/x.js", "node_modules/a"],
    ["../../x/node_modules/@s/a/x.js", "node_modules/@s/a"],
    ["node_modules/a/node_modules/@s/b/c/d.js", "node_modules/a/node_modules/@s/b"],
    ["cni/add.ts", undefined],
  ] as const)
    t.equal(keyOf(path), key, path);
});

t.test(
  "release notes are the version's section alone; without one a release is refused, and what was there stays",
  async (t) => {
    t.match(text("RELEASE_NOTES.md"), `# Railnet ${version}\n\n- this one\n`);
    t.notMatch(text("RELEASE_NOTES.md"), /later|before/);
    t.throws(() => notesOf("## [1.0.0]\n\n## [0.9.0]\n\n- x\n", "1.0.0"), /the section of 1\.0\.0 .* is empty/);
    t.equal(notesOf("## 1.0.0 (2026)\n- x", "1.0.0"), "# Railnet 1.0.0\n\n- x\n");
    t.throws(() => notesOf("## [11.0.0]\n- x\n", "1.0.0"), /no section of version 1\.0\.0/);
    writeFileSync(changelog, "# Changelog\n\n## [Unreleased]\n\n- later\n");
    const before = text("SHA256SUMS");
    const { exit, stderr } = await release(join(work, "a"), "022");
    t.equal(exit, 1);
    t.match(
      stderr,
      `release: cannot make release notes: CHANGELOG.md has no section of version ${version}; give CHANGELOG.md a section "## [${version}]"`,
    );
    t.equal(text("SHA256SUMS"), before);
    t.same(readdirSync(join(work, "a")), ["release"], "nothing half done beside it");
  },
);

t.test("a package that the lock file does not name stops the SBOM", async (t) => {
  const { npmPackages } = await import("../../scripts/release/npm-packages.ts");
  const file = join(work, "meta.json");
  writeFileSync(file, JSON.stringify({ inputs: { "node_modules/who/index.js": {} } }));
  t.throws(() => npmPackages(file, join(PROJECT, "package-lock.json")), /node_modules\/who is compiled in/);
});
