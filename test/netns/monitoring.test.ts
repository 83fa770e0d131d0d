import { execFileSync } from "node:child_process";
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { load, loadAll } from "js-yaml";
import t from "tap";
import { PATHS } from "../../cni/host.ts";
import { noCounts } from "../../daemonset/addresses/counters.ts";
import { Metrics } from "../../daemonset/metrics/metrics.ts";
import { kubernetes, peer } from "../../lab/cluster/api-server.ts";
import { must, start } from "../../lab/netns/run.ts";
import { SysfsTree } from "../../lab/netns/sysfs-tree.ts";
import { readExposition } from "../daemonset/support/exposition.ts";
import { RDMA_READING } from "../daemonset/support/rdma-reading.ts";
import { ROUTES } from "../daemonset/support/routes.ts";

// biome-ignore lint/suspicious/noExplicitAny: what stands in the files, as it is
type Json = any;
const PROJECT = new URL("../../", import.meta.url).pathname;
const FOLDER = join(PROJECT, "manifests/monitoring");
const work = mkdtempSync(join(tmpdir(), "railnet-monitoring-"));
t.teardown(() => rmSync(work, { recursive: true }));

/** What scraping adds: podmonitor.yaml says how. `up` is Prometheus' own. */
const TARGET_LABELS = ["job", "node", "instance"];
/** Labels and their values by metric, as an agent serves them that has seen one of everything. */
const served = await scrape();

const rule: Json = load(readFileSync(join(FOLDER, "prometheusrule.yaml"), "utf8"));
const alerts: Json[] = rule.spec.groups.flatMap(({ rules }: Json) => rules);
const dashboard: Json = JSON.parse(readFileSync(join(FOLDER, "dashboard.json"), "utf8"));
const panels: Json[] = dashboard.panels;
const targets: Json[] = panels.flatMap(({ targets = [] }) => targets);

t.test("Prometheus takes the rules as they are, and would say what is wrong with them", async (t) => {
  const file = join(work, "rules.json");
  writeFileSync(file, JSON.stringify(rule.spec));
  t.match(await start(peer("promrules"), [file]), { exit: 0, stdout: "" });
  writeFileSync(file, JSON.stringify(rule.spec).replace("> 0", "> {"));
  t.equal((await start(peer("promrules"), [file])).exit, 1);
});

t.test("every metric, label and value in a rule or a panel is one that agents serve", async (t) => {
  const expressions = [
    ...alerts.map(({ alert, expr }) => ({ where: alert, expr })),
    ...panels.flatMap(({ title, targets = [] }) => targets.map(({ expr }: Json) => ({ where: title, expr }))),
    ...dashboard.annotations.list.flatMap(({ name, expr }: Json) => (expr ? [{ where: name, expr }] : [])),
  ];
  const answers = await needsOf(expressions.map(({ expr }) => expr));
  for (const [i, { where, expr }] of expressions.entries()) t.same(faults(answers[i]), [], `${where}: ${expr}`);
  const [wrong] = await needsOf([
    'sum by (pf) (rate(railnet_cni_requests_total{verb="ADDED", rail="x"}[5m])) + railnet_no',
  ]);
  t.same(faults(wrong), [
    'railnet_cni_requests_total has no verb="ADDED"',
    "railnet_cni_requests_total has no label rail",
    "there is no metric railnet_no",
    "railnet_cni_requests_total has no label pf",
  ]);
});

t.test("every metric of the agent is in a panel or an alert", async (t) => {
  const text = JSON.stringify([alerts, dashboard]);
  const left = [...served.keys()].filter(
    (name) => !/_(sum|count)$/.test(name) && !new RegExp(`\\b${name}\\b`).test(text),
  );
  t.same(left, []);
});

t.test("each alert says how bad it is, what it means and where it is written what to do", async (t) => {
  t.ok(alerts.length >= 10);
  t.equal(new Set(alerts.map(({ alert }) => alert)).size, alerts.length);
  const runbook = join(PROJECT, "docs/alerts.md");
  const anchors = existsSync(runbook)
    ? [...readFileSync(runbook, "utf8").matchAll(/^#+ (.+)$/gm)].map(([, title]) => title!.toLowerCase())
    : [];
  for (const { alert, labels, annotations } of alerts) {
    t.match(alert, /^Railnet[A-Z][A-Za-z]+$/);
    t.ok(["critical", "warning", "info"].includes(labels.severity), alert);
    t.ok(annotations.summary && annotations.description, alert);
    t.equal(annotations.runbook_url, `docs/alerts.md#${alert.toLowerCase()}`);
    t.ok(anchors.includes(alert.toLowerCase()), `docs/alerts.md has ${alert}`);
  }
});

t.test("labels in an alert's text are those that its expression leaves", async (t) => {
  const answers = await needsOf(alerts.map(({ expr }) => expr));
  for (const [i, { alert, expr, annotations }] of alerts.entries()) {
    const named = [...JSON.stringify(annotations).matchAll(/\$labels\.(\w+)/g)].map(([, label]) => label!);
    const grouped = /\b(sum|count|max|min|avg)\b/.test(expr)
      ? answers[i].labels.flatMap(({ names }: Json) => names)
      : undefined;
    const kept = grouped ?? [
      ...TARGET_LABELS,
      ...answers[i].selectors.flatMap(({ metric }: Json) => [...(served.get(metric)?.keys() ?? [])]),
    ];
    for (const label of named) t.ok(kept.includes(label), `${alert}: ${label}`);
  }
});

t.test("the dashboard is one that Grafana reads: kinds, places, data sources, variables", async (t) => {
  t.match(dashboard, { schemaVersion: 39, title: "Railnet", uid: "railnet", editable: true });
  t.notOk("id" in dashboard, "an id is one installation's own");
  t.equal(new Set(panels.map(({ id }) => id)).size, panels.length);
  for (const { type, title, gridPos, datasource, targets = [], description } of panels) {
    t.ok(["row", "stat", "timeseries", "table"].includes(type), title);
    t.ok(gridPos.x >= 0 && gridPos.x + gridPos.w <= 24 && gridPos.h > 0, `${title} is on the grid`);
    if (type === "row") continue;
    t.ok(description, `${title} says what it shows`);
    t.ok(targets.length > 0, title);
    t.equal(new Set(targets.map(({ refId }: Json) => refId)).size, targets.length, title);
    for (const one of [datasource, ...targets.map((one: Json) => one.datasource)])
      t.match(JSON.stringify(one), /^\{"type":"prometheus","uid":"\$\{datasource\}"\}$/, title);
  }
  for (const [i, a] of panels.entries())
    for (const b of panels.slice(i + 1)) t.notOk(overlap(a.gridPos, b.gridPos), `${a.title} and ${b.title}`);
  const variables: string[] = dashboard.templating.list.map(({ name }: Json) => name);
  const used = [...JSON.stringify(dashboard).matchAll(/\$\{?(?!__)(\w+)\}?/g)].map(([, name]) => name!);
  t.same([...new Set(used)].sort(), variables.toSorted());
  for (const { query } of dashboard.templating.list.filter(({ type }: Json) => type === "query")) {
    const [, metric, label] = /^label_values\((\w+), (\w+)\)$/.exec(query.query)!;
    t.ok(served.has(metric!) && (TARGET_LABELS.includes(label!) || served.get(metric!)!.has(label!)), query.query);
  }
  t.ok(targets.length >= 25);
});

t.test("kustomize makes the three objects, the dashboard as it is", async (t) => {
  const text = execFileSync(kubernetes("kubectl"), ["kustomize", FOLDER], { encoding: "utf8" });
  const objects = loadAll(text) as Json[];
  t.same(objects.map(({ kind, metadata }) => `${kind} ${metadata.namespace}/${metadata.name}`).sort(), [
    "ConfigMap kube-system/railnet-dashboard",
    "PodMonitor kube-system/railnet",
    "PrometheusRule kube-system/railnet",
  ]);
  t.same(JSON.parse(objects.find(({ kind }) => kind === "ConfigMap").data["railnet.json"]), dashboard);
});

const overlap = (a: Json, b: Json): boolean => a.x < b.x + b.w && b.x < a.x + a.w && a.y < b.y + b.h && b.y < a.y + a.h;

/** Grafana puts values in the place of its variables before Prometheus reads an expression. */
async function needsOf(expressions: readonly string[]): Promise<Json[]> {
  const filled = expressions.map((text) => text.replaceAll("$__rate_interval", "5m").replaceAll(/\$\w+/g, ".*"));
  return JSON.parse(await must(peer("promrules"), [], { stdin: JSON.stringify(filled) }));
}

function faults({ error, selectors, labels }: Json): string[] {
  if (error) return [error];
  const known = (metric: string): ReadonlyMap<string, ReadonlySet<string>> | undefined =>
    metric === "up" ? new Map() : served.get(metric);
  const ofSelectors = selectors.flatMap(({ metric, matchers }: Json) => {
    const has = known(metric);
    if (!has) return [`there is no metric ${metric}`];
    return matchers.flatMap(({ label, op, value }: Json) => {
      if (TARGET_LABELS.includes(label)) return [];
      const values = has.get(label);
      if (!values) return [`${metric} has no label ${label}`];
      const isThere = op.endsWith("~")
        ? [...values].some((one) => new RegExp(`^(${value})$`).test(one))
        : values.has(value);
      return isThere ? [] : [`${metric} has no ${label}${op.replace("!", "")}"${value}"`];
    });
  });
  const ofLabels = labels.flatMap(({ names, metrics }: Json) =>
    names.flatMap((label: string) =>
      metrics
        .filter((metric: string) => known(metric) && !TARGET_LABELS.includes(label) && !known(metric)!.has(label))
        .map((metric: string) => `${metric} has no label ${label}`),
    ),
  );
  return [...ofSelectors, ...ofLabels];
}

/** What an agent serves after one of everything. */
async function scrape(): Promise<Map<string, Map<string, Set<string>>>> {
  const sysfs = new SysfsTree(join(work, "sys"));
  sysfs.add({ pci: "0000:18:00.0", netdev: "ens1", driver: "mlx5_core" });
  sysfs.add({ pci: "0000:18:01.0", netdev: "ens1v0", driver: "mlx5_core" });
  sysfs.setVfs("0000:18:00.0", ["0000:18:01.0"]);
  const metrics = new Metrics();
  for (const verb of ["ADD", "CHECK", "DEL"])
    for (const code of [0, 11, 102]) {
      metrics.calls.begin();
      metrics.calls.end("railnet-sriov", verb, code, 0.01);
    }
  for (const code of [0, 200, 401, 403, 500]) metrics.api.add("create", "ippools", code);
  const repair = { containerID: "c", ifname: "net1", pci: "p", why: "" } as const;
  metrics.repairs.add([
    { ...repair, kind: "detach", reason: "orphaned" },
    { ...repair, kind: "detach", reason: "orphaned", error: "Error: no" },
    { ...repair, kind: "report", reason: "astray" },
  ]);
  const text = metrics.render({
    paths: { ...PATHS, sysfs: sysfs.root, stateDir: "/none" },
    railOf: () => "rail0",
    addresses: { counters: noCounts(), pending: () => 0 },
    routes: ROUTES,
    rdma: [RDMA_READING],
    events: { counts: { sent: 1, dropped: 1, waiting: 1 } },
  });
  const found = new Map<string, Map<string, Set<string>>>();
  for (const key of readExposition(text).keys()) {
    const name = key.replace(/\{.*/, "");
    const labels = found.get(name) ?? new Map<string, Set<string>>();
    found.set(name, labels);
    for (const [, label, value] of key.matchAll(/(\w+)="([^"]*)"/g))
      labels.set(label!, (labels.get(label!) ?? new Set()).add(value!));
  }
  return found;
}
