import { keyOf, type Obj } from "./objects.ts";

export interface Change {
  readonly rev: number;
  readonly plural: string;
  readonly object: Obj | undefined;
  readonly prev: Obj | undefined;
}

export interface Backup {
  readonly rev: number;
  readonly objects: ReadonlyMap<string, ReadonlyMap<string, Obj>>;
}

/** Changes that are kept for watches. */
const HISTORY = 10_000;

/** Objects by plural and key, one number for every write, and what was written lately. */
export class Etcd {
  rev: number;
  /** What was before is forgotten: a watch from there is told 410. */
  oldestRev: number;
  #objects = new Map<string, Map<string, Obj>>();
  #history: Change[] = [];
  readonly #onChange: (change: Change) => void;

  constructor(plurals: Iterable<string>, rev: number, onChange: (change: Change) => void) {
    this.rev = this.oldestRev = rev;
    this.#onChange = onChange;
    for (const plural of plurals) this.#objects.set(plural, new Map());
  }

  get history(): readonly Change[] {
    return this.#history;
  }

  all(plural: string): ReadonlyMap<string, Obj> {
    return this.#objects.get(plural)!;
  }

  get(plural: string, key: string): Obj | undefined {
    return this.#objects.get(plural)!.get(key);
  }

  /** As a cache has it that saw all up to `rev`. */
  allAt(plural: string, rev: number): ReadonlyMap<string, Obj> {
    const state = new Map(this.all(plural));
    for (let i = this.#history.length - 1; i >= 0 && this.#history[i]!.rev > rev; i--) {
      const change = this.#history[i]!;
      if (change.plural !== plural) continue;
      if (change.prev) state.set(keyOf(change.prev), change.prev);
      else state.delete(keyOf(change.object!));
    }
    return state;
  }

  /** @returns what was written, with its version. */
  write(plural: string, object: Obj, prev: Obj | undefined): Obj {
    this.rev++;
    const written = { ...object, metadata: { ...object.metadata, resourceVersion: String(this.rev) } };
    this.#objects.get(plural)!.set(keyOf(written), written);
    this.#tell({ rev: this.rev, plural, object: written, prev });
    return written;
  }

  remove(plural: string, prev: Obj): void {
    this.rev++;
    this.#objects.get(plural)!.delete(keyOf(prev));
    this.#tell({ rev: this.rev, plural, object: undefined, prev });
  }

  backup(): Backup {
    return { rev: this.rev, objects: new Map([...this.#objects].map(([plural, all]) => [plural, new Map(all)])) };
  }

  /** `etcdutl snapshot restore`. @param bump `--bump-revision --mark-compacted`. */
  restore({ rev, objects }: Backup, bump: number): void {
    this.#objects = new Map([...objects].map(([plural, all]) => [plural, new Map(all)]));
    this.rev = rev + bump;
    this.#history = [];
    this.oldestRev = this.rev;
  }

  compact(rev = this.rev): void {
    this.oldestRev = Math.max(this.oldestRev, rev);
    this.#history = this.#history.filter((change) => change.rev > rev);
  }

  #tell(change: Change): void {
    this.#history.push(change);
    if (this.#history.length > HISTORY) this.compact(this.#history[HISTORY / 2]!.rev);
    this.#onChange(change);
  }
}
