import type { Argv } from "yargs";
import { VERSION } from "../../../daemonset/version.ts";
import { benchRdma } from "./bench-rdma.ts";
import { type RdmaOptions, TESTS } from "./options.ts";

/** `railnet bench rdma`. */
export const registerRdma = (y: Argv): Argv =>
  y
    .command<RdmaOptions>(
      "rdma",
      "bandwidth and latency of every rail between all nodes: which node, rail or cable is not like the others",
      (y) =>
        withGates(withWhat(withWhere(y as Argv<RdmaOptions>)))
          .example("$0 bench rdma", "all nodes that have rails, by a RailNetwork's one label")
          .example("$0 bench rdma --nodes gpu-1,gpu-2,gpu-3 --min-gbps 370 --host --max-pod-loss 2", "with gates")
          .example("$0 bench rdma --networks perf/rail0,perf/rail1 --at-once --sweep", "networks written by hand")
          .example("$0 bench rdma --sample 4 --tests write", "1,000 nodes: each meets four others")
          .epilogue(
            "Writes OUTPUT.json (docs/bench-rdma.schema.json) and OUTPUT.html, one page. " +
              "Exit codes: 0; 1 when something could not be measured or misses a gate, which is named; 2 when nothing could be measured; " +
              "130 after Ctrl-C, which removes the pods and writes nothing. A client that is killed leaves pods that end by themselves.",
          ),
      async (options) => {
        process.exitCode = await benchRdma(options);
      },
    )
    .demandCommand(1, "which bench");

const withWhere = <T>(y: Argv<T>) =>
  y
    .option("nodes", {
      type: "string",
      default: "all",
      describe: "names, with commas; a node named twice has two pods",
    })
    .option("network", { type: "string", describe: "RailNetwork of the pods' label, where there are several" })
    .option("networks", { type: "string", describe: "of Multus, instead: NAMESPACE/NAME, with commas" })
    .option("rails", { type: "string", default: "all", describe: "only these, with commas" })
    .option("host", { type: "boolean", default: false, describe: "the hosts, too: privileged pods in their network" })
    .option("host-rails", {
      type: "string",
      describe: "their links, RAIL=LINK with commas, alike on all nodes; default: as each RailNode says",
    })
    .option("kubeconfig", { type: "string", defaultDescription: "KUBECONFIG, ~/.kube/config, the pod's account" })
    .option("namespace", { type: "string", default: "default", describe: "of the pods" })
    .option("image", {
      type: "string",
      default: `railnet.io/railnet-perftest:${VERSION}`,
      describe: "with perftest, iproute2, a shell and iperf3 in it",
    })
    .option("pull-policy", { choices: ["IfNotPresent", "Always", "Never"] as const, default: "IfNotPresent" as const })
    .option("privileged", { type: "boolean", default: false, describe: "pods see all devices of their node" })
    .option("ready-seconds", { type: "number", default: 300, describe: "how long pods have to run" })
    .option("max-seconds", {
      type: "number",
      describe: "when pods end by themselves, whatever became of this command",
      defaultDescription: "twice what it should take, and a quarter of an hour",
    });

const withWhat = <T>(y: Argv<T>) =>
  y
    .option("tests", { type: "string", default: "write,latency", describe: `of ${TESTS.join(", ")}` })
    .option("bandwidth", { type: "string", default: "-D 5 -q 4", describe: "arguments of ib_*_bw, at both ends" })
    .option("latency", { type: "string", default: "-n 1000", describe: "arguments of ib_write_lat, at both ends" })
    .option("sweep", {
      type: "boolean",
      default: false,
      describe: "message sizes, 2 bytes to 8 MiB, in the first round",
    })
    .option("sweep-args", { type: "string", default: "-n 1000", describe: "arguments of a sweep, at both ends" })
    .option("at-once", { type: "boolean", default: false, describe: "then all rails at the same time" })
    .option("incast", { type: "boolean", default: false, describe: "then all to one, each node in turn" })
    .option("sample", { type: "number", describe: "so many rounds in place of all: each node meets so many others" })
    .option("seed", { type: "number", default: 1, describe: "chooses the pairs of a sample" })
    .option("parallel", { type: "number", default: 64, describe: "pairs at the same time" })
    .option("limit", { type: "number", default: 120, describe: "seconds of each run" })
    .option("output", {
      type: "string",
      default: "railnet-bench-rdma",
      describe: "OUTPUT.json and OUTPUT.html are written",
    });

const withGates = <T>(y: Argv<T>) =>
  y
    .option("min-gbps", { type: "number", describe: "of each way, alone and with all rails busy" })
    .option("max-pod-loss", { type: "number", describe: "percent that a pod may lose of its host (needs --host)" })
    .option("max-spread", { type: "number", describe: "percent between the best and the worst way of a rail" })
    .option("baseline", { type: "string", describe: "OUTPUT.json of an earlier run: no way may be slower" })
    .option("max-baseline-loss", { type: "number", default: 5, describe: "but for so many percent" })
    .option("allow-tcp", { type: "boolean", default: false, describe: "TCP meets gates where RDMA is missing" })
    .option("junit", { type: "string", describe: "a report for CI, XML" });
