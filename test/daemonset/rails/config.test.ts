import { existsSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import t from "tap";
import { parseRails, readRails } from "../../../daemonset/rails/config.ts";
import * as fc from "../../../lab/properties.ts";

const none = { names: [], pciAddresses: [], vendors: [], drivers: [] };

t.test("parseRails() fills in what is left out", async (t) => {
  const text = `
- name: rail0
  pf: { names: [ens1f0np0] }
- name: rail1
  resource: example.com/fast_1
  vfs: 8
  pf:
    pciAddresses: ["0000:AF:00.1"]
    vendors: [15B3, 8086, 0123]
    drivers: [mlx5_core]
  rdma: exclusive
`;
  t.same(parseRails(text), [
    { name: "rail0", resource: "railnet.io/rail0", vfs: 0, pf: { ...none, names: ["ens1f0np0"] } },
    {
      name: "rail1",
      resource: "example.com/fast_1",
      vfs: 8,
      pf: { names: [], pciAddresses: ["0000:af:00.1"], vendors: ["15b3", "8086", "0123"], drivers: ["mlx5_core"] },
      rdma: "exclusive",
    },
  ]);
});

for (const text of ["", "\n", "# no rails\n", "[]", "  # a\n\n  # b\n[]\n"])
  t.test(`parseRails() takes ${JSON.stringify(text)} for no rails`, async (t) => {
    t.same(parseRails(text), []);
  });

t.test("parseRails() of a megabyte of comments and blanks, with a mistake behind, is no work", async (t) => {
  const comments = `${" # a comment, \t\n\n".repeat(30_000)}${" ".repeat(500_000)}\n`;
  t.same(parseRails(comments), []);
  t.throws(() => parseRails(`${comments}rail0`), /want a list such as/);
});

t.test("parseRails() takes JSON, which is YAML", async (t) => {
  t.equal(parseRails(JSON.stringify([{ name: "a", vfs: 2, pf: { drivers: ["igb"] } }]))[0]!.vfs, 2);
});

const with0 = (fields: string) => `[{name: rail0, pf: {names: [a]}, ${fields}}]`;
const withPf = (pf: string) => `[{name: rail0, pf: ${pf}}]`;
const two = (a: string, b: string) => `[{name: rail0, ${a}}, {name: rail1, ${b}}]`;
const PF = "want selectors of one PF such as {names: [ens1f0np0]} or {pciAddresses: ['0000:18:00.0']}";
for (const { text, want } of [
  { text: "{name: rail0}", want: "cannot read rails: want a list such as [{name: rail0, vfs: 8, pf: {names: [ens1f0np0]}}]" },
  { text: "rail0", want: "cannot read rails: want a list such as [{name: rail0, vfs: 8, pf: {names: [ens1f0np0]}}]" },
  { text: "[rail0]", want: 'cannot use rail "entry 1": entry "rail0": want an object such as {name: rail0, vfs: 8, pf: {names: [ens1f0np0]}}' },
  { text: "[{pf: {names: [a]}}]", want: "cannot use rails: entry 1: name is missing; want one such as rail0" },
  { text: "[{name: Rail 0}]", want: 'cannot use rail "entry 1": name "Rail 0": want at most 40 lower case letters, digits and hyphens, such as rail0' },
  { text: `[{name: ${"a".repeat(41)}}]`, want: `cannot use rail "entry 1": name "${"a".repeat(41)}": want at most 40 lower case letters, digits and hyphens, such as rail0` },
  { text: "[{name: rail0}]", want: `cannot use rail "rail0": pf is missing; ${PF}` },
  { text: withPf("ens1"), want: `cannot use rail "rail0": pf "ens1": ${PF}` },
  { text: withPf("{}"), want: `cannot use rail "rail0": pf {}: nothing is selected, so that any PF would do; ${PF}` },
  { text: withPf("{names: []}"), want: `cannot use rail "rail0": pf {"names":[]}: nothing is selected, so that any PF would do; ${PF}` },
  { text: withPf("{names: ens1}"), want: 'cannot use rail "rail0": pf.names "ens1": want a list of names or alternative names of links such as ens1f0np0, at most 127 characters' },
  { text: withPf("{names: [../x]}"), want: 'cannot use rail "rail0": pf.names "../x": want names or alternative names of links such as ens1f0np0, at most 127 characters' },
  { text: withPf('{names: ["ens1#7-1"]}'), want: 'cannot use rail "rail0": pf.names "ens1#7-1": want VFs from a lower to a higher index, such as #1-7 or #0,4-7' },
  { text: withPf('{pciAddresses: ["0000:18:00.0#a"]}'), want: 'cannot use rail "rail0": pf.pciAddresses "0000:18:00.0#a": want PCI addresses such as 0000:18:00.0' },
  { text: withPf('{pciAddresses: ["18:00.0"]}'), want: 'cannot use rail "rail0": pf.pciAddresses "18:00.0": want PCI addresses such as 0000:18:00.0' },
  { text: withPf("{vendors: [Mellanox]}"), want: 'cannot use rail "rail0": pf.vendors "Mellanox": want PCI vendors of four hexadecimal digits such as 15b3' },
  { text: withPf("{vendors: [[15b3]]}"), want: 'cannot use rail "rail0": pf.vendors ["15b3"]: want PCI vendors of four hexadecimal digits such as 15b3' },
  { text: withPf("{drivers: [mlx5/core]}"), want: 'cannot use rail "rail0": pf.drivers "mlx5/core": want names of kernel drivers such as mlx5_core' },
  { text: withPf("{pfNames: [a]}"), want: 'cannot use rail "rail0": there is no field pf.pfNames; want names, pciAddresses, vendors, drivers' },
  { text: with0("numVfs: 8"), want: 'cannot use rail "rail0": there is no field numVfs; want name, resource, vfs, pf, rdma' },
  { text: with0("vfs: many"), want: 'cannot use rail "rail0": vfs "many": want a whole number from 0, which leaves the PF as it is, to 65535' },
  { text: with0("vfs: -1"), want: 'cannot use rail "rail0": vfs "-1": want a whole number from 0, which leaves the PF as it is, to 65535' },
  { text: with0("vfs: 65536"), want: 'cannot use rail "rail0": vfs "65536": want a whole number from 0, which leaves the PF as it is, to 65535' },
  { text: with0("rdma: yes"), want: 'cannot use rail "rail0": rdma "yes": want exclusive or shared, or leave it out to leave the mode as it is' },
  { text: with0("resource: rail0"), want: 'cannot use rail "rail0": resource "rail0": want a domain, one "/" and a name, such as railnet.io/rail0' },
  { text: with0("resource: [a]"), want: 'cannot use rail "rail0": resource ["a"]: want a name such as railnet.io/rail0' },
  { text: with0("resource: a/b/c"), want: 'cannot use rail "rail0": resource "a/b/c": want a domain, one "/" and a name, such as railnet.io/rail0' },
  { text: with0("resource: Example.com/a"), want: 'cannot use rail "rail0": resource "Example.com/a": before the "/" want a domain in lower case, such as railnet.io/rail0' },
  { text: with0("resource: node.kubernetes.io/a"), want: 'cannot use rail "rail0": resource "node.kubernetes.io/a": Kubernetes keeps node.kubernetes.io for itself; want a domain of your own, such as railnet.io/rail0' },
  { text: with0("resource: a.b/c-"), want: 'cannot use rail "rail0": resource "a.b/c-": after the "/" want at most 63 letters, digits, "-", "_" and ".", a letter or digit at both ends' },
  { text: "[{name: rail0, pf: {names: [a]}}, {name: rail0, pf: {names: [b]}}]", want: 'cannot use rail "rail0": name "rail0": another rail has it; give each its own' },
  { text: two("pf: {names: [a]}", "resource: railnet.io/rail0, pf: {names: [b]}"), want: 'cannot use rail "rail1": resource "railnet.io/rail0": rail "rail0" has it; a resource is one rail\'s' },
  { text: two("pf: {names: [a]}", "pf: {names: [a]}"), want: 'cannot use rail "rail1": pf {"names":["a"],"pciAddresses":[],"vendors":[],"drivers":[]}: rail "rail0" selects the same; a PF is one rail\'s' },
  { text: two("pf: {names: [a]}, rdma: shared", "pf: {names: [b]}, rdma: exclusive"), want: 'cannot use rail "rail1": rdma "exclusive": rail "rail0" says shared; the mode is the whole node\'s' },
]) // biome-ignore format: rows
  t.test(`parseRails() refuses ${text}`, async (t) => {
    t.throws(() => parseRails(text), { message: want });
  });

for (const text of ["- [", "- a: 1\n  a: 2", "- name: a\n---\n- name: b", "- *a"])
  t.test(`parseRails() says where ${JSON.stringify(text)} is not YAML`, async (t) => {
    t.throws(() => parseRails(text), { message: /^cannot read rails: it is not YAML: / });
  });

t.test("parseRails() gives rails or an error in its own words, whatever it reads", async () => {
  const words = fc.constantFrom("-", " ", "name:", "rail0", "pf:", "{", "}", "[", "]", ",", "names:", "\n", "vfs:", "8", "&a", "*a", "!!map", "~", "'", "#"); // biome-ignore format: one row
  const text = fc.array(words, { maxLength: 25 }).map((w) => w.join(" "));
  fc.assert(
    fc.property(fc.oneof(text, fc.string()), (text) => {
      try {
        return Array.isArray(parseRails(text));
      } catch (error) {
        return /^cannot (read|use) rail/.test((error as Error).message);
      }
    }),
    { numRuns: 2000 },
  );
});

t.test("readRails() reads a file; without it there are no rails, and what is no file is an error", async (t) => {
  const dir = t.testdir();
  const path = join(dir, "rails");
  t.equal(existsSync(path), false);
  t.same(readRails(path), []);
  writeFileSync(path, with0("vfs: 4"));
  t.equal(readRails(path)[0]!.vfs, 4);
  t.throws(() => readRails(dir), { code: "EISDIR" });
});
