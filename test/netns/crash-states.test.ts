// The model of a disk that power-cut.test.ts believes: what POSIX promises, by cases whose states are written down by hand.
import t from "tap";
import { type Change, crashStates, parseTrace, type Tree } from "../../lab/netns/crash-states.ts";

const old: Tree = {
  names: new Map([["/d", "1"], ["/d/f", "2"]]),
  contents: new Map([["1", undefined], ["2", Buffer.from("old")]]),
}; // biome-ignore format: a tree

/** The contents that /d/f may have after a power cut, and with which the command had answered. */
function outcomes(...lines: string[]): { all: string[]; answered: string[] } {
  const states = [...crashStates(old, parseTrace(lines.join("\n"), old))].map(({ tree, answered }) => ({
    answered,
    text: tree.names.has("/d/f") ? tree.contents.get(tree.names.get("/d/f")!)!.toString() : "none",
  }));
  const texts = (of: typeof states) => [...new Set(of.map(({ text }) => text))].sort();
  return { all: texts(states), answered: texts(states.filter(({ answered }) => answered)) };
}

const hex = (text: string) => Buffer.from(text).toString("hex");
const written = ["open /d/t 3 0 1", `write 3 0 ${hex("new!")}`];

for (const { what, lines, all, answered } of [
  { what: "a file written in place", lines: [`write 2 0 ${hex("new!")}`, "answer"], all: ["ned", "new!", "old", "old\0"], answered: ["ned", "new!", "old", "old\0"] },
  { what: "a temporary file that is synced and renamed", lines: [...written, "sync 3", "rename /d/t /d/f 3", "answer"], all: ["new!", "old"], answered: ["new!", "old"] },
  { what: "the same with its directory synced", lines: [...written, "sync 3", "rename /d/t /d/f 3", "sync 1", "answer"], all: ["new!", "old"], answered: ["new!"] },
  { what: "the same without the file synced", lines: [...written, "rename /d/t /d/f 3", "sync 1", "answer"], all: ["", "\0\0\0\0", "ne", "new!", "old"], answered: ["", "\0\0\0\0", "ne", "new!"] },
  { what: "a removed file", lines: ["unlink /d/f 2", "answer"], all: ["none", "old"], answered: ["none", "old"] },
  { what: "a removed file with its directory synced", lines: ["unlink /d/f 2", "sync 1", "answer"], all: ["none", "old"], answered: ["none"] },
  { what: "an inode that is used again", lines: ["unlink /d/f 2", "sync 1", "open /d/f 2 0 1", `write 2 0 ${hex("x")}`, "sync 2", "sync 1", "answer"], all: ["", "\0", "none", "old", "x"], answered: ["x"] },
]) // biome-ignore format: rows
  t.test(`crashStates() of ${what}`, async (t) => {
    const found = outcomes(...lines);
    t.same(found.answered, [...answered].sort(), "after the answer");
    t.same(found.all, [...new Set(all)].sort(), "at any time");
  });

t.test("crashStates() gives a directory that was made only when its parent was synced", async (t) => {
  const changes: Change[] = parseTrace(
    ["mkdir /d/e 5", "open /d/e/f 6 0 1", "sync 6", "sync 5", "answer"].join("\n"),
    old,
  );
  const states = [...crashStates(old, changes)].filter(({ answered }) => answered);
  t.same(states.map(({ tree }) => tree.names.has("/d/e/f")).sort(), [false, true]);
  t.notOk(states.some(({ tree }) => tree.names.has("/d/e/f") && !tree.names.has("/d/e")));
});
