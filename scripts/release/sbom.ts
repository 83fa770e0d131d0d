import { createHash } from "node:crypto";
import type { DebianPackage } from "./debian-packages.ts";
import type { NpmPackage } from "./npm-packages.ts";

/** A file of the image. */
export interface ImageFile {
  /** `usr/bin/railnet` */
  readonly path: string;
  readonly sha256: string;
  /** What it is a copy of; undefined for what this build makes. */
  readonly from: DebianPackage | undefined;
}

/** One architecture of the image. */
export interface ImagePart {
  readonly architecture: "amd64" | "arm64";
  /** Of its manifest. */
  readonly digest: string;
  readonly files: readonly ImageFile[];
  /** Linked into the shim. */
  readonly linked: readonly DebianPackage[];
  /** The npm package whose executable railnet is made from. */
  readonly bun: NpmPackage;
}

export interface Ingredients {
  readonly version: string;
  /** Where the image is pushed to, and its index' digest. */
  readonly repository: string;
  readonly digest: string;
  readonly npm: readonly NpmPackage[];
  readonly parts: readonly ImagePart[];
  /** Whose certificates of public authorities are in the image. */
  readonly nodeVersion: string;
  /** Of the commit: its id, and its time in ISO 8601; undefined outside of a repository. */
  readonly commit: { readonly id: string; readonly time: string } | undefined;
}

interface Component {
  readonly type: string;
  readonly "bom-ref": string;
  readonly name: string;
  readonly [key: string]: unknown;
}

/** CycloneDX 1.6, https://cyclonedx.org/docs/1.6/json. The same ingredients are the same text. Pure. */
export function sbom(of: Ingredients): string {
  const own = ownComponent(of);
  const parts = of.parts.map((part) => partComponents(part, of));
  const npm = of.npm.map(npmComponent);
  const certificates = certificatesComponent(of.nodeVersion);
  const components = unique([...parts.flatMap(({ all }) => all), ...npm, certificates]);
  const refs = new Map(of.npm.map((one) => [one.key, purlOfNpm(one)]));
  const dependencies = [
    { ref: own["bom-ref"], dependsOn: parts.map(({ image }) => image["bom-ref"]) },
    ...parts.flatMap(({ dependencies }) => dependencies),
    ...of.npm.map((one) => ({ ref: purlOfNpm(one), dependsOn: one.needs.map((key) => refs.get(key)!) })),
  ];
  const body = {
    metadata: {
      ...(of.commit && { timestamp: of.commit.time }),
      lifecycles: [{ phase: "build" }],
      tools: { components: [{ type: "application", name: "scripts/release.sh", version: of.version }] },
      component: own,
      ...(of.commit && { properties: [{ name: "railnet:commit", value: of.commit.id }] }),
    },
    components,
    dependencies: merged(dependencies),
  };
  const head = {
    $schema: "http://cyclonedx.org/schema/bom-1.6.schema.json",
    bomFormat: "CycloneDX",
    specVersion: "1.6",
    serialNumber: `urn:uuid:${uuidOf(JSON.stringify(body))}`,
    version: 1,
  };
  return `${JSON.stringify({ ...head, ...body }, null, 2)}\n`;
}

/** One entry for one `ref`: the tree may hold the same version of a package more than once, with other packages below it. */
function merged(dependencies: readonly { ref: string; dependsOn: readonly string[] }[]) {
  const needs = Map.groupBy(dependencies, ({ ref }) => ref);
  return [...needs].map(([ref, all]) => ({
    ref,
    dependsOn: [...new Set(all.flatMap(({ dependsOn }) => dependsOn))].toSorted(),
  }));
}

const ownComponent = ({ version, repository, digest }: Ingredients): Component => ({
  type: "container",
  "bom-ref": `railnet@${version}`,
  name: "railnet",
  version,
  licenses: [{ license: { id: "Apache-2.0" } }],
  purl: `pkg:oci/railnet@${encodeURIComponent(digest)}?repository_url=${encodeURIComponent(repository)}&tag=${version}`,
});

function partComponents(part: ImagePart, { version, npm, nodeVersion }: Ingredients) {
  const { architecture, digest, files, linked, bun } = part;
  const ref = (path: string) => `${architecture}/${path}`;
  const image: Component = {
    type: "container",
    "bom-ref": `image-${architecture}`,
    name: `railnet-${architecture}`,
    version,
    hashes: [{ alg: "SHA-256", content: digest.replace("sha256:", "") }],
  };
  const runtime: Component = {
    ...npmComponent(bun),
    type: "platform",
    description: "Runtime that railnet is compiled with",
  };
  const copied = files.flatMap(({ from }) => from ?? []);
  const debian = [...copied, ...linked].map(debianComponent);
  const needs = (path: string): string[] => {
    if (path === "usr/bin/railnet") return [purlOfNpm(bun), ...npm.map(purlOfNpm), ...copied.map(purlOfDebian)];
    if (path === "usr/bin/railnet-shim") return linked.map(purlOfDebian);
    if (path.startsWith("etc/ssl/")) return [certificatesComponent(nodeVersion)["bom-ref"]];
    return files.filter((one) => one.path === path).flatMap(({ from }) => (from ? [purlOfDebian(from)] : []));
  };
  return {
    image,
    all: [
      image,
      runtime,
      ...files.map(
        ({ path, sha256 }): Component => ({
          type: "file",
          "bom-ref": ref(path),
          name: path,
          hashes: [{ alg: "SHA-256", content: sha256 }],
        }),
      ),
      ...debian,
    ],
    dependencies: [
      { ref: image["bom-ref"], dependsOn: files.map(({ path }) => ref(path)) },
      ...files.map(({ path }) => ({ ref: ref(path), dependsOn: needs(path) })),
    ],
  };
}

function npmComponent(one: NpmPackage): Component {
  const [scope, name] = one.name.startsWith("@") ? one.name.split("/") : [undefined, one.name];
  return {
    type: "library",
    "bom-ref": purlOfNpm(one),
    ...(scope && { group: scope }),
    name: name!,
    version: one.version,
    ...(one.sha512 && { hashes: [{ alg: "SHA-512", content: one.sha512 }] }),
    ...(one.license && { licenses: [licenseOf(one.license)] }),
    purl: purlOfNpm(one),
  };
}

/** An expression is one by its words; everything else here is an SPDX identifier. */
const licenseOf = (text: string) => (/ (OR|AND|WITH) /.test(text) ? { expression: text } : { license: { id: text } });

/** https://github.com/package-url/purl-spec, type npm: the scope's @ is encoded. */
const purlOfNpm = ({ name, version }: NpmPackage): string => `pkg:npm/${name.replace("@", "%40")}@${version}`;

const debianComponent = (one: DebianPackage): Component => ({
  type: "library",
  "bom-ref": purlOfDebian(one),
  name: one.name,
  version: one.version,
  purl: purlOfDebian(one),
});

const purlOfDebian = ({ name, version, architecture }: DebianPackage): string =>
  `pkg:deb/debian/${name}@${encodeURIComponent(version)}?arch=${architecture}&distro=debian-12`;

const certificatesComponent = (nodeVersion: string): Component => ({
  type: "data",
  "bom-ref": "certificates",
  name: "Mozilla's certificate authorities",
  version: `as in Node.js ${nodeVersion}`,
  licenses: [{ license: { id: "MPL-2.0" } }],
});

const unique = (components: readonly Component[]): Component[] =>
  [...new Map(components.map((one) => [one["bom-ref"], one])).values()].toSorted((a, b) =>
    a["bom-ref"] < b["bom-ref"] ? -1 : 1,
  );

/** Of a text, as a UUID of version 8 (RFC 9562: whatever its maker says). */
function uuidOf(text: string): string {
  const hex = createHash("sha256").update(text).digest("hex");
  return `${hex.slice(0, 8)}-${hex.slice(8, 12)}-8${hex.slice(13, 16)}-a${hex.slice(17, 20)}-${hex.slice(20, 32)}`;
}
