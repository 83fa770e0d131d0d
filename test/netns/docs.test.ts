// The documentation's own words on a node: the first network of manifests/examples is attached, and blocks of shell that are marked run.
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { loadAll } from "js-yaml";
import t from "tap";
import type { Json } from "../../lab/cluster/raw.ts";
import { inside } from "../../lab/netns/inside.ts";
import { start } from "../../lab/netns/run.ts";
import { World } from "../../lab/netns/world.ts";
import { pages } from "../docs/support/markdown.ts";

const MARKED = ["docs/addresses.md", "docs/operate.md"];
/** `doctor` says what is wrong with this odd node; others say by another code than 0 that they could not be done. */
const MAY_COMPLAIN = /^railnet (doctor|status)$/;

const world = await World.create();
t.teardown(() => world.close());
await world.host.batch(["link set rail0 mtu 9000", "link property add dev rail0 altname ens1f0np0"]);
await world.agent();
const pod = await world.pod();

const [example] = loadAll(readFileSync("manifests/examples/networks.yaml", "utf8")) as Json[];
const network: Json = JSON.parse(example.spec.config);
/** As Multus passes it on; the pod asks for the address that the pages name. */
const config = { ...network, deviceID: world.vfs[0]!.pci, runtimeConfig: { ips: ["192.168.0.7"] } };
const env = { CNI_ARGS: "IgnoreUnknown=1;K8S_POD_NAMESPACE=default;K8S_POD_NAME=trainer-0" };
const attachment = { ...world.attachment(pod), config, env };
writeFileSync(join(world.dir, "rail0.json"), JSON.stringify(network));

t.test("an example's network gives a pod its VF, with MTU, address and source rule", async (t) => {
  const { exit, stdout } = await world.call("shim", "ADD", attachment);
  t.equal(exit, 0, stdout);
  const { mtu, addresses, rules, up } = await inside(pod);
  t.same([mtu, addresses, up], [9000, ["192.168.0.7/24"], true]);
  t.equal(rules.length, 1, "a rule from its address");
});

for (const { file, line, text } of pages.flatMap(({ blocks }) => blocks).filter(({ runs }) => runs === " node"))
  t.test(`shell in ${file}:${line} runs`, async (t) => {
    for (const command of text
      .split("\n")
      .map((one) => one.replace(/ +#.*$/, "").trim())
      .filter(Boolean)) {
      const [program, ...args] = command.split(" ");
      t.equal(program, "railnet", command);
      const { exit, stdout, stderr } = await start(...world.host.enter(world.executable, ...args), {
        env: { ...world.env, PWD: world.dir },
      });
      const isGood = exit === 0 || (exit === 1 && MAY_COMPLAIN.test(command));
      t.ok(isGood && stdout.length > 0, `${command}: ${exit} ${stderr}`);
    }
  });

t.test("pages have blocks that run", async (t) => {
  const marked = pages.filter(({ blocks }) => blocks.some(({ runs }) => runs === " node")).map(({ file }) => file);
  t.same(marked, MARKED);
});

t.test("and DEL gives everything back", async (t) => {
  t.equal((await world.call("shim", "DEL", attachment)).exit, 0);
  t.same(world.records(), []);
});
