import { selector } from "../api/selector.ts";
import { ApiServer } from "../api/server.ts";
import type { Watcher } from "../api/watches.ts";
import { Random } from "../core/random.ts";
import { Simulation, setSimulation } from "../core/simulation.ts";
import { KINDS, RESERVED } from "../world/kinds.ts";
import type { Json, Subject } from "./subject.ts";

/** The model as the contract's cases see it. Has no time: a watch ends when nothing more is done. */
export function model(): Subject {
  setSimulation(new Simulation("contract"));
  const server = new ApiServer(KINDS, new Random("contract"));
  return {
    async request(method, path, { body, contentType = "application/json", accept = "application/json" } = {}) {
      const text = body === undefined ? undefined : JSON.stringify(body);
      const reply = server.handle(method, path, { Accept: accept, "Content-Type": contentType }, text);
      return { status: reply.status, body: parsed(reply.body) };
    },
    async watch(path, _, during) {
      const { pathname, searchParams } = new URL(path, "http://server");
      const { kind, namespace } = server.target(pathname)!;
      const lines: Json[] = [];
      const watcher: Watcher = {
        kind,
        matches: selector(namespace, searchParams),
        metadataOnly: false,
        fromRev: Number(searchParams.get("resourceVersion")),
        send: (line) => lines.push(JSON.parse(line)),
        end() {},
      };
      const isLive = server.watches.begin(watcher);
      await during?.();
      if (isLive && searchParams.has("allowWatchBookmarks")) server.watches.bookmark(watcher);
      server.watches.forget(watcher);
      return { status: 200, lines };
    },
    async restart() {
      server.watches.end();
      server.etcd.compact();
    },
    async unserve() {
      server.unserve(RESERVED);
    },
    async serve() {
      server.serve(RESERVED);
    },
  };
}

function parsed(text: string): Json {
  try {
    return JSON.parse(text);
  } catch {
    return text;
  }
}
