import t from "tap";
import { model } from "../../lab/simulation/contract/model.ts";
import { OF_OBJECTS } from "../../lab/simulation/contract/objects.ts";
import { OF_WATCHES } from "../../lab/simulation/contract/watches.ts";

const subject = model();

for (const { name, look, want } of [...OF_OBJECTS, ...OF_WATCHES])
  t.test(`the model: ${name}`, async (t) => t.same(await look(subject), want));
