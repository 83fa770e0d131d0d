import type { Test } from "tap";
import { fileSeed } from "../../../../lab/seed.ts";
import type { Node, Vf } from "../support/node.ts";
import { leftovers, picture } from "../support/picture.ts";
import { Random } from "../support/random.ts";
import { Walk } from "./walk.ts";

const steps = Number(process.env["RAILNET_WALK_STEPS"] ?? 40);
const seed = Number(process.env["RAILNET_WALK_SEED"] ?? fileSeed("test/vm/attach/walk/random.ts"));

/** ADD, CHECK, DEL, GC, kills and failures in any order, beside a model that says what must come. */
export async function walkTests(t: Test, node: Node): Promise<void> {
  await t.test(
    `a random walk of ${steps} steps ends where it began (RAILNET_WALK_SEED=${seed} repeats it)`,
    async (t) => {
      await node.startAgent();
      const rest = await picture(node);
      const vfs = [node.vf(0, 0), node.vf(0, 1), node.vf(1, 0), node.vf(2, 0)];
      const walk = new Walk(node, vfs, new Random(seed));
      for (let i = 1; i <= steps; i++) {
        const { what, found, wanted, said } = await walk.step();
        t.same(found, wanted, `${i}: ${what}${said ? `: "${said}"` : ""}`);
        const now = await picture(node);
        const idle = node.vfs.filter((vf) => walk.model.isAtRest(vf));
        t.same(
          idle.map((vf) => ofVf(now, vf)),
          idle.map((vf) => ofVf(rest, vf)),
          `${i}: VFs that nobody has are as before`,
        );
        if (!t.passing()) break; // what follows would only repeat it
      }
      t.same(
        (await walk.end()).filter(({ exit }) => exit !== 0),
        [],
        "DEL of all that ever was",
      );
      t.same(await picture(node), rest, "PFs and VFs are as before");
      t.same(await leftovers(node), [], "nothing is remembered, no address is taken");
    },
  );
}

/** A VF's link on the host, and its PF's settings for it. */
function ofVf(links: Record<string, unknown>, { name, pf, index }: Vf): unknown {
  const at = links[pf] as { vfinfo_list: { vf: number }[] };
  return { link: links[name], vf: at.vfinfo_list.find(({ vf }) => vf === index) };
}
