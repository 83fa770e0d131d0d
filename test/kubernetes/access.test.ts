import { chmodSync, mkdtempSync, readFileSync, rmSync, utimesSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import t from "tap";
import { accessBy } from "../../kubernetes/access.ts";
import { whyUntrusted } from "../../kubernetes/transport.ts";

const folder = mkdtempSync(`${tmpdir()}/railnet-access-`);
t.teardown(() => rmSync(folder, { recursive: true }));
const file = (name: string, text: string): string => {
  writeFileSync(`${folder}/${name}`, text);
  return `${folder}/${name}`;
};
const PEM = "-----BEGIN CERTIFICATE-----\nx\n-----END CERTIFICATE-----\n";
const base64 = Buffer.from(PEM).toString("base64");

interface Parts {
  readonly cluster?: object;
  readonly user?: object;
  readonly context?: object;
  readonly current?: string;
}

const EXEC = { apiVersion: "client.authentication.k8s.io/v1", command: "./credentials" };

const config = ({ cluster, user, context, current = "c" }: Parts): string =>
  JSON.stringify({
    clusters: [{ name: "k", cluster: { server: "https://10.0.0.1:6443/", ...cluster } }],
    users: [{ name: "u", user: { ...user } }],
    contexts: [{ name: "c", context: { cluster: "k", user: "u", ...context } }],
    "current-context": current,
  });
const readOnce = (parts: Parts) => accessBy(file("config", config(parts)))(false);

for (const { what, parts, want } of [
  { what: "server and namespace", parts: { context: { namespace: "team" } }, want: { server: "https://10.0.0.1:6443", namespace: "team" } },
  { what: "no namespace where the context has none", parts: {}, want: { namespace: undefined } },
  { what: "a CA in the file", parts: { cluster: { "certificate-authority-data": base64 } }, want: { tls: { ca: PEM, rejectUnauthorized: true } } },
  { what: "a CA beside the file", parts: { cluster: { "certificate-authority": "ca.crt" } }, want: { tls: { ca: PEM } } },
  { what: "another name of the server", parts: { cluster: { "tls-server-name": "api.local" } }, want: { tls: { serverName: "api.local" } } },
  { what: "that the certificate is not checked, only where it says so", parts: { cluster: { "insecure-skip-tls-verify": true } }, want: { tls: { rejectUnauthorized: false } } },
  { what: "a client certificate", parts: { user: { "client-certificate-data": base64, "client-key-data": base64 } }, want: { tls: { cert: PEM, key: PEM }, headers: {} } },
  { what: "a token", parts: { user: { token: "abc" } }, want: { headers: { Authorization: "Bearer abc" } } },
  { what: "a token file, without its newline", parts: { user: { tokenFile: `${folder}/token` } }, want: { headers: { Authorization: "Bearer from-file" } } },
  { what: "name and password", parts: { user: { username: "a", password: "b" } }, want: { headers: { Authorization: "Basic YTpi" } } },
  { what: "whom to act as", parts: { user: { token: "abc", as: "other" } }, want: { headers: { "Impersonate-User": "other" } } },
  { what: "as which groups, with which UID and extras", parts: { user: { as: "a", "as-uid": "1", "as-groups": ["g", "h"], "as-user-extra": { "x.io/k": ["v", "w"] } } }, want: { headers: { "Impersonate-Uid": "1", "Impersonate-Group": ["g", "h"], "Impersonate-Extra-x.io%2Fk": ["v", "w"] } } },
  { what: "no groups without a name to act as", parts: { user: { token: "abc", "as-groups": ["g"] } }, want: { headers: { "Impersonate-Group": undefined } } },
  { what: "the token file before the token", parts: { user: { token: "abc", tokenFile: "token" } }, want: { headers: { Authorization: "Bearer from-file" } } },
  { what: "the token where its file is not there", parts: { user: { token: "abc", tokenFile: "none" } }, want: { headers: { Authorization: "Bearer abc" } } },
  { what: "a token file by its relative path", parts: { user: { tokenFile: "token" } }, want: { headers: { Authorization: "Bearer from-file" } } },
  { what: "a CA in the file before one beside it", parts: { cluster: { "certificate-authority-data": base64, "certificate-authority": "none" } }, want: { tls: { ca: PEM } } },
  { what: "HTTPS:// in capitals, and a path", parts: { cluster: { server: "HTTPS://rancher.local/k8s/clusters/c/" } }, want: { server: "https://rancher.local/k8s/clusters/c" } },
  { what: "a server without a scheme where it has a CA", parts: { cluster: { server: "10.0.0.1:6443", "certificate-authority-data": base64 } }, want: { server: "https://10.0.0.1:6443" } },
]) // biome-ignore format: a table
  t.test(`accessBy() reads ${what}`, async (t) => {
    file("ca.crt", PEM);
    file("token", "from-file\n");
    t.match(await readOnce(parts), want);
  });

for (const { what, parts, message } of [
  { what: "http", parts: { cluster: { server: "http://10.0.0.1:8080" } }, message: "is not an https:// address" },
  { what: "a proxy", parts: { cluster: { "proxy-url": "http://p:1" } }, message: "proxy-url, which is not supported" },
  { what: "a context that is not there", parts: { current: "other" }, message: 'current-context "other"' },
  { what: "a user that is not there", parts: { context: { user: "nobody" } }, message: 'its user "nobody" does not exist' },
  { what: "a token file that is empty", parts: { user: { tokenFile: "blank" } }, message: /token file .*blank is empty/ },
  { what: "a token beside a password", parts: { user: { token: "abc", username: "a" } }, message: "a username and a token: want one of them" },
  { what: "a certificate without its key", parts: { user: { "client-certificate-data": base64 } }, message: "want both" },
  { what: "an unchecked certificate with a CA", parts: { cluster: { "insecure-skip-tls-verify": true, "certificate-authority-data": base64 } }, message: "want one of them" },
  { what: "a provider that client-go has dropped", parts: { user: { "auth-provider": { name: "gcp" } } }, message: 'auth-provider "gcp" is not supported' },
  { what: "a program that wants to ask somebody", parts: { user: { exec: { ...EXEC, interactiveMode: "Always" } } }, message: "interactiveMode is Always" },
  { what: "a program that fails, with its words", parts: { user: { exec: { ...EXEC, command: "sh", args: ["-c", "echo no card >&2; exit 3"], installHint: "insert it" } } }, message: "cannot get credentials by sh: no card (exit 3); insert it" },
  { what: "a program that is not there", parts: { user: { exec: { ...EXEC, command: "./none" } } }, message: `cannot get credentials by ${folder}/none: ` },
  { what: "a program that answers in another version", parts: { user: { exec: { ...EXEC, command: "echo", args: ['{"apiVersion":"client.authentication.k8s.io/v1beta1","status":{"token":"x"}}'] } } }, message: "want client.authentication.k8s.io/v1" },
  { what: "a program that gives nothing", parts: { user: { exec: { ...EXEC, command: "echo", args: ['{"apiVersion":"client.authentication.k8s.io/v1"}'] } } }, message: "neither a token nor a certificate" },
  { what: "a CA file that is not there", parts: { cluster: { "certificate-authority": "none.crt" } }, message: "none.crt" },
]) // biome-ignore format: a table
  t.test(`accessBy() refuses ${what}`, async (t) => {
    file("blank", "\n");
    await t.rejects(readOnce(parts), { name: "ApiError", isUnclear: false, message });
    await t.rejects(readOnce(parts), { message: `cannot read kubeconfig ${folder}/config: ` });
  });

t.test("accessBy() names a kubeconfig that is not there, or is none", async (t) => {
  await t.rejects(accessBy(`${folder}/none`)(false), {
    name: "ApiError",
    message: `kubeconfig ${folder}/none: ENOENT`,
  });
  await t.rejects(accessBy(file("broken", "a: [b"))(false), { name: "ApiError", message: "broken: " });
  await t.rejects(accessBy(file("empty", ""))(false), { name: "ApiError", message: "empty: " });
});

t.test("accessBy() reads a kubeconfig again when it has changed", async (t) => {
  const path = file("changing", config({ user: { token: "first" } }));
  const read = accessBy(path);
  t.match(await read(false), { headers: { Authorization: "Bearer first" } });
  file("changing", config({ user: { token: "second" } }));
  utimesSync(path, new Date(), new Date(Date.now() + 5000));
  t.match(await read(false), { headers: { Authorization: "Bearer second" } });
});

t.test("accessBy() reads a token file at once when its token was refused", async (t) => {
  const tokenFile = file("rotating", "first");
  const read = accessBy(file("config", config({ user: { tokenFile } })));
  t.match(await read(false), { headers: { Authorization: "Bearer first" } });
  file("rotating", "second");
  t.match(await read(true), { headers: { Authorization: "Bearer second" } });
});

/** Prints what it was told and how often it ran. */
const program = (name: string, { until = "" } = {}): string => {
  const status = { token: "t$n", ...(until && { expirationTimestamp: until }) };
  const credential = { apiVersion: EXEC.apiVersion, kind: "ExecCredential", status };
  const path = file(
    name,
    `#!/bin/sh
cd ${folder}; n=$(cat ${name}.count 2>/dev/null || echo 0); n=$((n + 1)); echo $n > ${name}.count
echo "$KUBERNETES_EXEC_INFO" > ${name}.info; echo "$1 $GIVEN" > ${name}.args
cat <<END
${JSON.stringify(credential)}
END
`,
  );
  chmodSync(path, 0o755);
  return path;
};
const textOf = (name: string): string => readFileSync(`${folder}/${name}`, "utf8").trim();

t.test("accessBy() asks the program of `exec`, by a path that is relative to the kubeconfig", async (t) => {
  program("credentials");
  const exec = { ...EXEC, args: ["login"], env: [{ name: "GIVEN", value: "yes" }], provideClusterInfo: true };
  const read = accessBy(file("config", config({ user: { exec } })));
  t.match(await read(false), { headers: { Authorization: "Bearer t1" } });
  t.equal(textOf("credentials.args"), "login yes");
  t.match(JSON.parse(textOf("credentials.info")), {
    apiVersion: "client.authentication.k8s.io/v1",
    kind: "ExecCredential",
    spec: { interactive: false, cluster: { server: "https://10.0.0.1:6443/" } },
  });
  t.match(await read(false), { headers: { Authorization: "Bearer t1" } }, "kept while it does not expire");
  t.match(await read(true), { headers: { Authorization: "Bearer t2" } }, "asked again when it was refused");
});

t.test(
  "accessBy() asks the program again when its token has expired, and not where a token stands beside it",
  async (t) => {
    program("expired", { until: "2020-01-01T00:00:00Z" });
    const exec = { ...EXEC, command: "./expired" };
    const read = accessBy(file("config", config({ user: { exec } })));
    t.match(await read(false), { headers: { Authorization: "Bearer t1" } });
    t.match(await read(false), { headers: { Authorization: "Bearer t2" } });
    t.match(await readOnce({ user: { exec, token: "own" } }), { headers: { Authorization: "Bearer own" } });
  },
);

t.test("whyUntrusted() tells a wrong name, an expired certificate and a wrong CA apart", async (t) => {
  t.match(whyUntrusted("ERR_TLS_CERT_ALTNAME_INVALID"), "tls-server-name");
  t.match(whyUntrusted("CERT_HAS_EXPIRED"), "clock is ahead");
  t.match(whyUntrusted("CERT_NOT_YET_VALID"), "clock is behind");
  t.match(whyUntrusted("UNABLE_TO_VERIFY_LEAF_SIGNATURE"), "CA of the kubeconfig");
  t.equal(whyUntrusted("ECONNREFUSED"), undefined);
});
