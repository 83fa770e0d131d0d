// Uses ipam/store/directory.ts in a process of its own, with the product's locks, for directory.test.ts.
import { spawn, spawnSync } from "node:child_process";
import { appendFileSync, writeSync } from "node:fs";
import { lockIn } from "../../../../ipam/node-host.ts";
import { DirectoryStore } from "../../../../ipam/store/directory.ts";
import { ownerOf, poolOf } from "../names.ts";

const [action = "", path = "", ...rest] = process.argv.slice(2);
const store = new DirectoryStore(path, lockIn(path));

/** Claims, hands over and releases until it is done or killed, from outside or while it holds an address; and tells each step in the log that all processes append to. */
async function storm(network: string, name: string, end: string): Promise<void> {
  const pool = poolOf(network, "10.20.0.0/24");
  if (end === "is-killed") dieWithin(600);
  for (let round = 0; round < 60 || end !== "ends"; round++) {
    const ip = `10.20.0.${1 + Math.floor(Math.random() ** 2 * 90)}`;
    const old = ownerOf(name, `${round}-old`);
    if (await store.claim({ pool, ip, owner: old })) continue;
    tell("claimed", ip, old.containerId);
    tell("releasing", ip, old.containerId);
    const owner = ownerOf(name, `${round}-new`);
    if (await store.claim({ pool, ip, owner })) throw new Error(`${ip} was not handed over`);
    tell("claimed", ip, owner.containerId);
    const late = await store.release({ pool, ip, owner: old });
    if (late !== "foreign") throw new Error(`a late release of ${ip} is ${late}`);
    if (end === "dies-holding" && round > 3) process.kill(process.pid, "SIGKILL");
    if (round % 3 === 0) await new Promise((resolve) => setTimeout(resolve, 5));
    tell("releasing", ip, owner.containerId);
    const outcome = await store.release({ pool, ip, owner });
    if (outcome !== "released") throw new Error(`${ip} of ${owner.containerId} is ${outcome}`);
  }
}

const tell = (what: string, ip: string, id: string) => appendFileSync(`${path}.log`, `${what} ${ip} ${id}\n`);

/** From outside, so that it may hit any system call. */
function dieWithin(ms: number): void {
  const seconds = (Math.random() * ms) / 1000;
  spawn("sh", ["-c", `sleep ${seconds.toFixed(3)}; kill -9 ${process.pid}`], {
    stdio: "ignore",
    detached: true,
  }).unref();
}

/** Fills the disk with claims, then makes it read-only. */
async function disk(): Promise<void> {
  const pool = poolOf("n", "10.20.0.0/24");
  const said: Record<string, string> = {};
  const attempt = (work: Promise<unknown>) => work.then(String, (error) => `${error.kind}: ${error.message}`);
  const claim = (i: number) => ({ pool, ip: `10.20.0.${i}`, owner: ownerOf(`p${i}`) });
  let i = 0;
  do said["full"] = await attempt(store.claim(claim(++i)));
  while (said["full"] === "undefined" && i < 200);
  said["check when full"] = await attempt(store.check());
  said["released when full"] = await attempt(store.release(claim(1)));
  spawnSync("mount", ["-o", "remount,ro", path], { stdio: "inherit" });
  said["read-only"] = await attempt(store.claim(claim(201)));
  said["kept"] = String((await store.holder(pool, "10.20.0.2"))?.podref === "team/p2");
  writeSync(1, JSON.stringify(said));
}

if (action === "storm") await storm(rest[0]!, `s${rest[1]}`, rest[2]!);
else if (action === "disk") await disk();
else throw new Error(`cannot ${action}: unknown`);
