import { Agent } from "./agent.ts";

// An agent in a process of its own, so that a test can kill it: NODE KUBECONFIG [OPTIONS as JSON]
const [node = "", kubeconfig = "", options = "{}"] = process.argv.slice(2);
const agent = await Agent.start(node, kubeconfig, JSON.parse(options));
process.on("SIGTERM", () => void agent.stop().then(() => process.exit(0)));
