import { existsSync } from "node:fs";
import { join, resolve } from "node:path";
import type { Machine } from "../../../lab/vm/machine.ts";

const RAILNET = resolve("dist/test/railnet");
const FLOWS = join(import.meta.dirname, "flows.py");
export const RAILS = ["rail0", "rail1", "rail2", "rail3"];

/** What came of the flows from the other node. */
interface Flows {
  readonly flows: Readonly<Record<string, { readonly ms: number; readonly lost: number; readonly came: number }>>;
  /** Connections that broke, and how. */
  readonly ended: readonly string[];
}

/** A machine with an agent that knows the other one from its disk, as without an API server. */
export class RoutesNode {
  readonly machine: Machine;
  /** 1 or 2. */
  readonly n: number;
  readonly primary: string;
  readonly peer: string;

  constructor(machine: Machine, n: number) {
    this.machine = machine;
    this.n = n;
    this.primary = `192.0.2.${n}`;
    this.peer = `192.0.2.${3 - n}`;
  }

  ask(text: string): Promise<string> {
    return this.machine.ask(text, { timeoutMs: 400_000 });
  }

  async install(): Promise<void> {
    if (!existsSync(RAILNET)) throw new Error(`no ${RAILNET}: run bash scripts/build.sh --test (ENOENT)`);
    await Promise.all([
      this.machine.push(RAILNET, "/opt/railnet/bin/railnet"),
      this.machine.push(FLOWS, "/tmp/flows.py"),
    ]);
  }

  /** What its agent would publish, by ip(8). */
  async published(): Promise<object> {
    const links = JSON.parse(await this.ask("ip -j addr")) as Link[];
    const rails = RAILS.map((name, k) => {
      const { address: mac, mtu } = links.find(({ ifname }) => ifname === name)!;
      return { name, address: `192.168.${k}.${this.n}/24`, mac, mtu };
    });
    return { metadata: { name: `n${this.n}` }, spec: { primary: this.primary, rails } };
  }

  async startAgent(peers: readonly object[]): Promise<void> {
    const rails = RAILS.map((name) => ({ name, pf: { names: [name] } }));
    const networks = [{ name: "ishikari", rails, nodes: { routes: true } }];
    await this.#write("rail-networks.json", { version: 1, networks });
    await this.#write("rail-peers.json", { version: 1, primary: this.primary, isControlPlane: false, peers });
    await this.ask(`
      NODENAME=n${this.n} setsid /opt/railnet/bin/railnet agent --health '' --metrics '' > /tmp/routes-agent.log 2>&1 < /dev/null &
      echo $! > /run/routes-agent.pid
      until [[ $(< /tmp/routes-agent.log) = *'"nodes on rails"'* ]]; do [ -e /proc/$! ] || { cat /tmp/routes-agent.log >&2; exit 1; }; sleep 0.5; done`);
  }

  /** Also what it has set: as before it came. */
  async stopAgent(): Promise<void> {
    await this.#write("rail-networks.json", { version: 1, networks: [] });
    await this.ask(`
      while [ -e /var/lib/railnet/routes/settings.json ]; do sleep 0.1; done
      pid=$(< /run/routes-agent.pid); kill $pid; while [ -e /proc/$pid ]; do sleep 0.05; done
      rm -rf /var/lib/railnet /run/railnet`);
  }

  /** Waits until the route to the other node goes by these rails and no others. @returns when, in the machine's own seconds. */
  async goes(rails: readonly string[]): Promise<number> {
    const text = await this.ask(`
      want='${rails.join(" ")}'
      for ((i = 0; i < 1000; i++)); do
        words=" $(ip route show proto 94 ${this.peer} | tr '\\n' ' ') "; now=()
        for rail in ${RAILS.join(" ")}; do [[ $words != *" dev $rail "* ]] || now+=($rail); done
        [ "\${now[*]}" = "$want" ] && echo $EPOCHREALTIME && exit 0
        sleep 0.05
      done
      echo "by '\${now[*]}' and not by '$want'" >&2; cat /tmp/routes-agent.log >&2; exit 1`);
    return Number(text);
  }

  /** So many UDP flows, and as many connections, to the other node; returns when all have begun. */
  async startFlows(count: number, seconds: number): Promise<void> {
    await this.ask(`
      rm -f /tmp/flows.log
      setsid python3 /tmp/flows.py ${this.primary} ${this.peer} ${count} ${seconds} > /tmp/flows.log 2>&1 < /dev/null & echo $! > /run/flows.pid
      until grep -q flowing /tmp/flows.log; do [ -e /proc/$! ] || { cat /tmp/flows.log >&2; exit 1; }; sleep 0.05; done`);
  }

  /** What has come since it was asked last. */
  async flows(): Promise<Flows> {
    return JSON.parse(
      await this.ask(`
        rm -f /tmp/flows.json; kill -USR1 $(< /run/flows.pid)
        until [ -e /tmp/flows.json ]; do sleep 0.02; done; cat /tmp/flows.json`),
    );
  }

  async stopFlows(): Promise<void> {
    await this.ask("pid=$(< /run/flows.pid); kill -9 $pid; while [ -e /proc/$pid ]; do sleep 0.02; done");
  }

  /** Packets that left by each link up to now. */
  async sent(): Promise<Map<string, number>> {
    const links = JSON.parse(await this.ask("ip -j -s link")) as Link[];
    return new Map(links.map(({ ifname, stats64 }) => [ifname, stats64.tx.packets]));
  }

  /** The rails of UDP flows of flows.py, as the kernel would send them now. */
  async railsOf(first: number, count: number): Promise<string[]> {
    const lines = Array.from({ length: count }, (_, i) => `route get ${this.peer} from ${this.primary} ipproto udp sport ${first + i} dport 7000`); // biome-ignore format: one row
    const text = await this.ask(`printf '%s\\n' '${lines.join("' '")}' | ip -o -batch -`);
    return [...text.matchAll(/ dev (\S+) /g)].map(([, dev]) => dev!);
  }

  /** Waits for it. @returns when, in the machine's own seconds. */
  async carrierOf(rail: string): Promise<number> {
    return Number(
      await this.ask(`
        for ((i = 0; i < 3000; i++)); do
          [ "$(< /sys/class/net/${rail}/carrier)" = 1 ] && echo $EPOCHREALTIME && exit 0
          sleep 0.01
        done; exit 1`),
    );
  }

  /** Sysctls and routes, which must be the same afterwards; without what the kernel makes of IPv6 by itself, and late. */
  async picture(): Promise<string[]> {
    const text = await this.ask("sysctl -a 2> /dev/null | grep '^net.ipv4'; ip -4 route show table all | sort; ip -6 route show table all | grep -v 'proto kernel' | sort; ip neigh show | grep extern_learn || true"); // biome-ignore format: one row
    return text.split("\n");
  }

  async #write(file: string, content: object): Promise<void> {
    const text = JSON.stringify(content);
    await this.ask(`mkdir -p /var/lib/railnet; cat > /var/lib/railnet/${file}.part << 'END'\n${text}\nEND\nmv /var/lib/railnet/${file}.part /var/lib/railnet/${file}`); // biome-ignore format: one row
  }
}

interface Link {
  readonly ifname: string;
  readonly address: string;
  readonly mtu: number;
  readonly stats64: { readonly tx: { readonly packets: number } };
}
