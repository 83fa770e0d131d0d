import { CniError, toCniError } from "../cni/protocol/error.ts";
import type { Result } from "../cni/protocol/result.ts";

/** The IPAM plugin's answer to a call, between threads: these share no classes, so an error is passed as its fields. */
export interface IpamReply {
  readonly result?: Result;
  readonly error?: { readonly code: number; readonly message: string; readonly details?: string };
}

/** Never rejects. */
export async function replyOf(verb: Promise<Result | undefined>): Promise<IpamReply> {
  try {
    const result = await verb;
    return result ? { result } : {};
  } catch (thrown) {
    const { code, message, details } = toCniError(thrown);
    return { error: { code, message, ...(details && { details }) } };
  }
}

export const errorOf = ({ error }: IpamReply): CniError | undefined =>
  error && new CniError(error.code, error.message, error);
