import { type Access, accessBy, type ReadAccess } from "../../kubernetes/access.ts";
import { openTransport } from "../../kubernetes/open-transport.ts";

/** The API server, for reading its objects unchanged: including those that Railnet itself would refuse to read. */
export class RawApi {
  readonly #access: ReadAccess;

  /** @param kubeconfig path; undefined: the service account of the pod that this runs in. */
  constructor(kubeconfig: string | undefined) {
    this.#access = accessBy(kubeconfig);
  }

  access(): Promise<Access> {
    return this.#access(false);
  }

  /** @throws {Error} with the server's own message if it refuses. */
  async get(path: string, signal: AbortSignal): Promise<unknown> {
    const { server, tls, headers } = await this.access();
    const send = await openTransport(server, tls, headers);
    const answer = await send({ method: "GET", path, headers: { ...headers, Accept: "application/json" }, signal });
    const text = await answer.text();
    if (answer.status >= 300) throw new Error(`${answer.status}: ${messageOf(text)}`);
    return JSON.parse(text);
  }

  /** All pages of a list, without fields that only the server needs. */
  async list(path: string, signal: AbortSignal): Promise<unknown[]> {
    const items: unknown[] = [];
    for (let next: string | undefined = ""; next !== undefined; ) {
      const and: string = path.includes("?") ? "&" : "?";
      const page = (await this.get(
        `${path}${and}limit=500${next && `&continue=${encodeURIComponent(next)}`}`,
        signal,
      )) as Page;
      items.push(...page.items.map(withoutNoise));
      next = page.metadata.continue || undefined;
    }
    return items;
  }
}

interface Page {
  readonly items: readonly unknown[];
  readonly metadata: { readonly continue?: string };
}

function messageOf(text: string): string {
  try {
    return (JSON.parse(text) as { message?: string }).message ?? text.slice(0, 200);
  } catch {
    return text.slice(0, 200);
  }
}

const NOISE = ["managedFields", "images"];

/** Without field managers and a node's images: nine tenths of the text. */
function withoutNoise(object: unknown): unknown {
  return JSON.parse(JSON.stringify(object, (key, value) => (NOISE.includes(key) ? undefined : value)));
}
