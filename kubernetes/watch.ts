import type { KubeObject, WatchEvent } from "./cluster.ts";
import { type Action, refusal } from "./failure.ts";

/** One line of a watch; `ERROR` carries a Status, such as 410 `Expired`. */
interface Line {
  readonly type: string;
  readonly object: KubeObject;
}

/** Events in a watch's body. @throws {ApiError} for an event `ERROR`. */
export async function* readEvents<T extends KubeObject>(
  action: Action,
  body: AsyncIterable<Uint8Array>,
): AsyncGenerator<WatchEvent<T>> {
  for await (const line of lines(body)) {
    const { type, object }: Line = JSON.parse(line);
    if (type === "ERROR") throw refusal(action, 500, JSON.stringify(object));
    yield { type, object } as WatchEvent<T>;
  }
}

/** Complete lines only: one that is cut off is dropped. An event may be 1.5 MB in many pieces. */
async function* lines(body: AsyncIterable<Uint8Array>): AsyncGenerator<string> {
  const decoder = new TextDecoder();
  let begun: string[] = [];
  for await (const piece of body) {
    const [first, ...rest] = decoder.decode(piece, { stream: true }).split("\n");
    begun.push(first!);
    for (const next of rest) {
      const line = begun.join("");
      begun = [next];
      if (line) yield line;
    }
  }
}
