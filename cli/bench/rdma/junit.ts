import { type BenchResults, type Cell, type GateFailure, matricesOf } from "./results.ts";

/** JUnit's XML, as CI systems read it: a suite for each rail, side and mode, a case for each way. */
export function junit({ begun, cells, failures }: BenchResults): string {
  const open = new Set(failures);
  const suites = matricesOf(cells).map(({ rail, side, mode, test, cells }) => {
    const cases = cells.map((cell) => caseOf(cell, takeFailures(cell, open)));
    return suite(`${rail} ${side} ${test} ${mode}`, begun, cases);
  });
  return `<?xml version="1.0" encoding="UTF-8"?>\n<testsuites name="railnet bench rdma">\n${suites.join("")}</testsuites>\n`;
}

/** Each failure stands in the first case that it is of. */
function takeFailures({ rail, from, to, side }: Cell, open: Set<GateFailure>): GateFailure[] {
  const mine = [...open].filter((one) => one.rail === rail && one.side === side && one.from === from && one.to === to);
  for (const one of mine) open.delete(one);
  return mine;
}

interface Case {
  readonly text: string;
  readonly hasFailed: boolean;
}

function caseOf(cell: Cell, failures: readonly GateFailure[]): Case {
  const { rail, side, test, mode, from, to, gbps, transport } = cell;
  const head = `  <testcase classname="${xml(`rdma.${side}.${mode}.${test}.${rail}`)}" name="${xml(`${from} → ${to}`)}"`;
  const hasFailed = failures.length > 0;
  const said = gbps === undefined ? "" : `<system-out>${gbps} Gb/s ${transport}</system-out>`;
  const failed = failures.map(({ why }) => `<failure message="${xml(why)}"/>`).join("");
  return { text: `${head}>${failed}${said}</testcase>\n`, hasFailed };
}

function suite(name: string, begun: string, cases: readonly Case[]): string {
  const failures = cases.filter(({ hasFailed }) => hasFailed).length;
  const head = `<testsuite name="${xml(name)}" timestamp="${xml(begun)}" tests="${cases.length}" failures="${failures}">`;
  return `${head}\n${cases.map(({ text }) => text).join("")}</testsuite>\n`;
}

/** For text and attributes of XML and HTML; control characters are none of XML. */
export const xml = (text: string): string =>
  text
    .replace(/[\x00-\x08\x0b\x0c\x0e-\x1f\x7f\ufffe\uffff]/g, "?")
    .replace(/[&<>"']/g, (character) => `&#${character.codePointAt(0)};`);
