/** Where addresses are kept. */
export type Storage =
  | { readonly kind: "kubernetes"; readonly kubeconfig: string }
  | { readonly kind: "directory"; readonly path: string };
