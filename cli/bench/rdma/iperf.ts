/**
 * 10^9 bits a second that arrived, out of what `iperf3 --json` of the client prints.
 * @throws when iperf3 reports an error, or in another format.
 */
export function parseIperf(output: string): number {
  const report = readJson(output);
  if (report.error) throw new Error(`cannot measure TCP: iperf3 says: ${report.error}`);
  const rate = report.end?.sum_received?.bits_per_second;
  if (typeof rate !== "number" || !(rate > 0))
    throw new Error(`cannot read iperf3's output: end.sum_received.bits_per_second is ${rate} (EBADMSG)`);
  return rate / 1e9;
}

interface Report {
  readonly error?: string;
  readonly end?: { readonly sum_received?: { readonly bits_per_second?: unknown } };
}

function readJson(output: string): Report {
  try {
    return JSON.parse(output) as Report;
  } catch {
    throw new Error(`cannot read iperf3's output: no JSON: "${output.trim().slice(0, 100)}" (EBADMSG)`);
  }
}
