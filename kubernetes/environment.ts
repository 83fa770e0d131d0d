/**
 * The environment of this process, read where client-go reads it too: a pod learns from it where its API server is, and
 * the program of a kubeconfig's `exec` inherits it.
 */
export const environment = (): Readonly<Record<string, string | undefined>> => process.env;
