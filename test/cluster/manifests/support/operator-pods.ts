import type { Json } from "../../../../lab/cluster/raw.ts";

// What operators make of the pod in a job's template: labels, owner, names, and parts of their own beside the user's.

type Made = (pod: Json) => Json;

const owner = (kind: string, apiVersion: string): Json => ({ apiVersion, kind, name: "train", uid: "u", controller: true, blockOwnerDeletion: true }); // biome-ignore format: one row
const labels = (operator: string, more: Json): Json => ({ "training.kubeflow.org/operator-name": operator, "training.kubeflow.org/job-name": "train", "training.kubeflow.org/replica-index": "0", ...more }); // biome-ignore format: one row

/** What all of them do: the first container is the main one, whatever it is called. */
function decorate(pod: Json, of: { metadata: Json; spec: Json; main: Json; init?: readonly Json[] }): Json {
  const { containers, initContainers = [], ...spec } = pod.spec;
  const [main, ...others] = containers;
  const inits = [...(of.init ?? []), ...initContainers];
  return {
    ...pod,
    metadata: { ...pod.metadata, ...of.metadata, labels: { ...pod.metadata.labels, ...of.metadata.labels } },
    spec: { ...spec, ...of.spec, containers: [{ ...main, ...of.main }, ...others], ...(inits.length > 0 && { initContainers: inits }) }, // biome-ignore format: one row
  };
}

/** `newWorker()` of kubeflow/mpi-operator, pkg/controller/mpi_job_controller.go. */
const mpiWorker: Made = (pod) =>
  decorate(pod, {
    metadata: {
      labels: labels("mpi-operator", { "training.kubeflow.org/job-role": "worker" }),
      ownerReferences: [owner("MPIJob", "kubeflow.org/v2beta1")],
    },
    spec: {
      ...{ hostname: "train-worker-0", subdomain: "train-worker", restartPolicy: "Never" },
      volumes: [{ name: "ssh-auth", secret: { secretName: "train-ssh", defaultMode: 0o600, items: [{ key: "ssh-privatekey", path: "id_rsa" }] } }], // biome-ignore format: one row
    },
    main: {
      ...{ name: "mpi-worker", command: ["/usr/sbin/sshd", "-De"], env: [{ name: "K_MPI_JOB_ROLE", value: "worker" }] },
      volumeMounts: [{ name: "ssh-auth", mountPath: "/root/.ssh" }],
    },
  });

/** `setInitContainer()` and `setPodEnv()` of kubeflow/training-operator, pkg/controller.v1/pytorch, behind a queue's gate. */
const pytorchWorker: Made = (pod) =>
  decorate(pod, {
    metadata: {
      labels: labels("pytorchjob-controller", { "training.kubeflow.org/replica-type": "worker" }),
      ownerReferences: [owner("PyTorchJob", "kubeflow.org/v1")],
    },
    spec: { restartPolicy: "OnFailure", schedulingGates: [{ name: "kueue.x-k8s.io/admission" }] },
    main: {
      name: "pytorch",
      ports: [{ containerPort: 23456, name: "pytorchjob-port" }],
      env: [
        { name: "MASTER_ADDR", value: "train-master-0" },
        { name: "RANK", value: "1" },
      ],
    },
    init: [
      {
        ...{ name: "init-pytorch", image: "alpine:3.10", command: ["sh", "-c", "until nslookup train-master-0; do :; done"] }, // biome-ignore format: one row
        resources: { limits: { cpu: "100m", memory: "20Mi" }, requests: { cpu: "50m", memory: "10Mi" } },
      },
    ],
  });

/** A Job's pod, as its controller makes it, with the sidecar that a mesh puts in. */
const jobInMesh: Made = (pod) =>
  decorate(pod, {
    metadata: { labels: { "batch.kubernetes.io/job-name": "train" }, ownerReferences: [owner("Job", "batch/v1")] },
    spec: { restartPolicy: "Never" },
    main: { name: "train", env: [{ name: "JOB_COMPLETION_INDEX", value: "0" }] },
    init: [
      { name: "mesh-init", image: "none", securityContext: { capabilities: { add: ["NET_ADMIN"] } } },
      { name: "mesh-proxy", image: "none", restartPolicy: "Always", resources: { limits: { cpu: "2" } }, securityContext: { capabilities: { drop: ["ALL"] } } }, // biome-ignore format: one row
    ],
  });

export const OPERATORS: readonly Made[] = [mpiWorker, pytorchWorker, jobInMesh];
