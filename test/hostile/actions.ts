import { Random } from "../vm/attach/support/random.ts";

/** What a pod could know or guess of the node that it is on. */
export interface Surroundings {
  /** The VF's link in the pod, its PCI address, and its name at home. ip(8) and tc(8) call a link of any name `if<INDEX>`. */
  readonly link: string;
  readonly index: number;
  readonly pci: string;
  readonly home: string;
  /** Names of the host's links, PCI addresses and MACs of PFs and other VFs, addresses of others. */
  readonly names: readonly string[];
  readonly pcis: readonly string[];
  readonly macs: readonly string[];
  readonly addresses: readonly string[];
  /** The VF is one end of a veth pair: it must not be removed, nor get another index, since only that tells it from others. */
  readonly isVeth: boolean;
}

/** One thing that a pod does: a line for `ip -batch`, or shell text where VF is the name that its link has then; in its own namespace (0) or in a nested one. */
export interface Action {
  readonly kind: "ip" | "sh";
  readonly text: string;
  readonly at: number;
}

interface Place {
  /** Names of its links, as far as all that was asked for succeeded. */
  readonly links: string[];
}

/**
 * Seeded random things that a pod with NET_ADMIN, NET_RAW and user namespaces does to its links, rules, names, aliases and
 * namespaces. Many of them are refused; none may matter to anybody else.
 */
export function hostileActions(seed: number, count: number, around: Surroundings): Action[] {
  const pod = new HostilePod(new Random(seed), around);
  while (pod.actions.length < count) pod.act();
  return pod.actions.slice(0, count);
}

class HostilePod {
  readonly actions: Action[] = [];
  readonly #random: Random;
  readonly #around: Surroundings;
  readonly #places: Place[] = [{ links: ["lo"] }];
  /** Where the VF is. */
  #at = 0;
  readonly #vf: string;
  #number = 0;

  constructor(random: Random, around: Surroundings) {
    this.#random = random;
    this.#around = around;
    this.#vf = `if${around.index}`;
  }

  act(): void {
    const rare = this.#random.below(60);
    if (rare === 0) this.#nest();
    else if (rare === 1) this.#moveVf();
    else this.#random.of(this.#repertoire)();
  }

  readonly #repertoire: readonly (() => void)[] = [
    () => this.#rename(),
    () => this.#rename(),
    () => this.#set(`alias "${this.#alias()}"`),
    () => this.#set(`alias "${this.#alias()}"`),
    () => this.#set(`address ${this.#mac()}`),
    () => this.#set(`mtu ${this.#random.of([68, 576, 1280, 1400, 1500, 9000, 65535])}`),
    () => this.#set(this.#random.of(["up", "down", "down"])),
    () => this.#set(this.#flag()),
    () => this.#set(this.#flag()),
    () => this.#set(this.#size()),
    () => this.#ip(`link property add dev ${this.#link()} altname ${this.#name()}`),
    () => this.#ip(`link property del dev ${this.#link()} altname ${this.#name()}`),
    () => this.#create(),
    () => this.#create(),
    () => this.#stand(),
    () => this.#enslave(),
    () => this.#remove(),
    () =>
      this.#ip(
        `addr add ${this.#random.of([...this.#around.addresses, `10.9.${this.#random.below(250)}.1/24`, "fd00::9/64"])} dev ${this.#link()}`,
      ),
    () => this.#ip(`addr flush dev ${this.#link()}`),
    () => this.#ip(`route add 10.${this.#random.below(250)}.0.0/16 dev ${this.#link()}`),
    () => this.#ip(`route del default`),
    () =>
      this.#ip(
        `rule ${this.#random.of(["add", "add", "del"])} from ${this.#random.of(this.#around.addresses).split("/")[0]} lookup ${this.#random.of([100, 254, 1003])} priority ${this.#random.of([1000, 1, 32766, 40000])}`,
      ),
    () => this.#ip(`neigh replace 10.20.0.1 lladdr ${this.#mac()} dev ${this.#link()}`),
    () => this.#ip(`maddr add 33:33:00:00:00:0${this.#random.below(9)} dev ${this.#link()}`),
    () =>
      this.#sh(
        `tc qdisc replace dev ${this.#vf} root ${this.#random.of(["pfifo limit 5", "htb", "prio", "tbf rate 1kbit burst 1k latency 1ms"])}`,
      ),
    () => this.#sh(`tc qdisc add dev ${this.#vf} clsact`),
    () =>
      this.#sh(
        `ethtool -K VF ${this.#random.of(["gro", "gso", "tso", "tx", "rx", "sg", "rxvlan", "txvlan", "tx-nocache-copy"])} ${this.#random.of(["on", "off"])}`,
      ),
    () =>
      this.#sh(
        `ethtool ${this.#random.of(["-G", "-C", "-L", "-s"])} VF ${this.#random.of(["rx 80", "rx-usecs 9", "combined 1", "msglvl 7", "tx 1"])}`,
      ),
    () =>
      this.#sh(`rdma dev set ${this.#random.of(["rxe0", "rxe1"])} name ${this.#random.of(["rxe0", "mlx5_0", "x"])}`),
  ];

  #ip(text: string): void {
    this.actions.push({ kind: "ip", text, at: this.#at });
  }

  #sh(text: string): void {
    this.actions.push({ kind: "sh", text, at: this.#at });
  }

  get #here(): Place {
    return this.#places[this.#at]!;
  }

  /** The VF more often than not. */
  #link(): string {
    return this.#random.oneIn(3) ? this.#random.of(this.#here.links) : this.#vf;
  }

  #set(what: string): void {
    this.#ip(`link set ${this.#link()} ${what}`);
  }

  #name(): string {
    const { names, home, link, pci } = this.#around;
    return this.#random.of([
      ...names,
      home,
      link,
      `vf${pci.replaceAll(/[:.]/g, "")}`,
      "net2",
      "eth0",
      "dev7",
      "all",
      "default",
      "a%d",
      "net%d",
      "x".repeat(15),
      "railnet",
      "ünï",
    ]);
  }

  #mac(): string {
    const { macs } = this.#around;
    return this.#random.of([
      ...macs,
      `02:00:00:00:00:${10 + this.#random.below(80)}`,
      "00:00:00:00:00:00",
      "ff:ff:ff:ff:ff:ff",
      "33:33:00:00:00:01",
    ]);
  }

  #alias(): string {
    const { pcis, pci, names, home } = this.#around;
    const mark = `railnet ${this.#random.of([...pcis, pci])} ${this.#random.of([...names, home])} ${this.#mac()} 576`;
    return this.#random.of([mark, mark, mark, "", "railnet", `railnet ${pci}`, "mine", "x".repeat(255)]);
  }

  #flag(): string {
    const flags = ["promisc", "allmulticast", "arp", "multicast", "dynamic", "trailers"];
    return `${this.#random.of(flags)} ${this.#random.of(["on", "off"])}`;
  }

  #size(): string {
    const sizes = ["txqueuelen", "group", "gso_max_size", "gso_max_segs", "gro_max_size"];
    return this.#random.of([
      `${this.#random.of(sizes)} ${1 + this.#random.below(60000)}`,
      `mode ${this.#random.of(["default", "dormant"])}`,
      `broadcast ${this.#mac()}`,
    ]);
  }

  /** A link has to be down for a new name. */
  #rename(): void {
    const [from, to] = [this.#link(), this.#name()];
    if (this.#here.links.includes(to) || from === "lo") return;
    this.#ip(`link set ${from} down`);
    this.#ip(`link set ${from} name ${to}`);
    const now = to.includes("%") ? to.replace("%d", "0") : to;
    if (from !== this.#vf) this.#here.links.splice(this.#here.links.indexOf(from), 1, now);
    if (this.#random.oneIn(2)) this.#ip(`link set ${from === this.#vf ? from : now} up`);
  }

  #fresh(): string {
    const name = this.#name();
    const isTaken = this.#here.links.includes(name) || name.includes("%");
    return isTaken ? `t${this.#number++}` : name;
  }

  #create(): void {
    const name = this.#fresh();
    this.#ip(
      `link add ${name} ${this.#random.of(["", `address ${this.#mac()}`])} type ${this.#random.of(["dummy", "bridge", "ifb", `veth peer name t${this.#number++}`])}`,
    );
    this.#here.links.push(name);
  }

  /** Something on top of the VF. */
  #stand(): void {
    const name = this.#fresh();
    const kind = this.#random.of([
      "macvlan mode bridge",
      "macvlan mode private",
      "macvlan mode passthru",
      "macvtap mode vepa",
      "vlan id 7",
      "ipvlan mode l2",
    ]);
    this.#ip(`link add ${name} link ${this.#vf} type ${kind}`);
    this.#ip(`link set ${name} up`);
    this.#here.links.push(name);
  }

  #enslave(): void {
    const master = this.#random.of(this.#here.links);
    this.#set(this.#random.oneIn(3) ? "nomaster" : `master ${master}`);
  }

  #remove(): void {
    const { links } = this.#here;
    const gone = this.#random.of(links);
    if (this.#around.isVeth && !/^t\d/.test(gone)) return; // any other name might be the VF's by now
    if (this.#random.oneIn(4) && !this.#around.isVeth) this.#ip(`link del ${this.#vf}`);
    else this.#ip(`link del ${gone}`);
    if (gone !== "lo") links.splice(links.indexOf(gone), 1);
  }

  /** A user namespace with a network namespace in it, below where the VF is. */
  #nest(): void {
    if (this.#places.length > 4) return;
    const n = this.#places.length;
    this.#sh(`nest ${this.#at} ${n}`);
    this.#places.push({ links: ["lo"] });
  }

  /** Inwards only: what is inside has no right to put anything out. */
  #moveVf(): void {
    const to = this.#places.length - 1;
    if (to <= this.#at) return;
    if (!this.#around.isVeth && this.#random.oneIn(2))
      this.actions.push({ kind: "ip", text: `link add index ${2 + this.#random.below(20)} type dummy`, at: to });
    this.#sh(`move ${this.#at} ${this.#vf} ${to}`);
    this.#at = to;
  }
}
