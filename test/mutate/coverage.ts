import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { pathToFileURL } from "node:url";

interface Range {
  readonly startOffset: number;
  readonly endOffset: number;
  readonly count: number;
}

interface Script {
  readonly url: string;
  readonly functions: readonly { readonly ranges: readonly Range[] }[];
}

/**
 * What V8 saw run, of files below a folder (NODE_V8_COVERAGE: a file of JSON a process). Types are erased to blanks, so offsets are
 * those of the source.
 */
export class Coverage {
  /** By file, relative: of each process its functions' ranges, the outermost first. */
  readonly #scripts = new Map<string, Script[]>();

  /** @param reports the folder that NODE_V8_COVERAGE named. */
  constructor(root: string, reports: string) {
    const prefix = `${pathToFileURL(root)}/`;
    for (const report of readdirSync(reports)) {
      const { result } = JSON.parse(readFileSync(join(reports, report), "utf8")) as { result: Script[] };
      for (const script of result)
        if (script.url.startsWith(prefix) && !script.url.includes("/node_modules/"))
          this.#add(script.url.slice(prefix.length), script);
    }
  }

  #add(file: string, script: Script): void {
    const known = this.#scripts.get(file);
    if (known) known.push(script);
    else this.#scripts.set(file, [script]);
  }

  /** Whether what stands at an offset of a file ever ran. */
  ran(file: string, offset: number): boolean {
    return (this.#scripts.get(file) ?? []).some((script) => innermost(script, offset) > 0);
  }
}

/** @returns how often the smallest range around an offset ran; 0 when there is none. */
function innermost({ functions }: Script, offset: number): number {
  let smallest = Number.POSITIVE_INFINITY;
  let times = 0;
  for (const { startOffset, endOffset, count } of functions.flatMap(({ ranges }) => ranges)) {
    if (startOffset > offset || offset >= endOffset || endOffset - startOffset > smallest) continue;
    smallest = endOffset - startOffset;
    times = count;
  }
  return times;
}
