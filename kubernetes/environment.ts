/**
 * The environment of this process, where client-go looks at it too: a pod learns there where its API server is, and the
 * program of a kubeconfig's `exec` inherits it.
 */
export const environment = (): Readonly<Record<string, string | undefined>> => process.env;
