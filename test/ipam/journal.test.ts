import { appendFileSync, readdirSync, readFileSync } from "node:fs";
import t from "tap";
import { ClaimJournal, type ClaimRecord } from "../../ipam/journal.ts";

const record: ClaimRecord = {
  version: 1,
  phase: "claiming",
  network: "rail0",
  storage: { kind: "directory", path: "/addresses" },
  owner: { podref: "default/a", ifname: "net1", containerId: "c1" },
  netns: "/run/netns/a",
  netnsInode: 7,
  since: "2026-01-01T00:00:00.000Z",
  addresses: [],
};

t.test("ClaimJournal.update() adds a line; one that is not whole was never written", (t) => {
  const dir = t.testdir();
  const journal = new ClaimJournal(dir);
  journal.write(record);
  journal.update(record, { phase: "held" });
  t.same(journal.find("c1", "net1"), { ...record, phase: "held" });
  const [name] = readdirSync(`${dir}/ipam`);
  const file = `${dir}/ipam/${name}`;
  t.same(
    readFileSync(file, "utf8")
      .split("\n")
      .map((line) => JSON.parse(line)),
    [record, { phase: "held" }],
  );
  appendFileSync(file, '\n{"phase":"relea');
  t.same(journal.find("c1", "net1"), { ...record, phase: "held" });
  journal.update(record, { phase: "releasing" });
  t.same([...journal.all()], [{ ...record, phase: "releasing" }]);
  t.end();
});

t.test("ClaimJournal.update() of a record that is not on disk writes it whole", (t) => {
  const journal = new ClaimJournal(t.testdir());
  journal.update(record, { phase: "releasing" });
  t.same([...journal.all()], [{ ...record, phase: "releasing" }]);
  t.end();
});
