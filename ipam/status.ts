import { CniError, CODE } from "../cni/protocol/error.ts";
import type { Call } from "../cni/protocol/request.ts";
import type { IpamHost } from "./host.ts";
import { StoreError } from "./store/store.ts";
import { readIpamConfig } from "./whereabouts/config.ts";

/** STATUS: whether an ADD could get an address now. Changes nothing. */
export async function status(call: Call, host: IpamHost): Promise<void> {
  try {
    const store = await host.store(readIpamConfig(call, host).storage);
    await store.check(host.signal);
  } catch (error) {
    if (!(error instanceof StoreError)) throw error;
    throw new CniError(CODE.PLUGIN_NOT_AVAILABLE, error.message, { cause: error });
  }
}
