import { Agent } from "./agent.ts";

// An agent in a process of its own, so that a test can kill it: NODE KUBECONFIG [OPTIONS as JSON]
const [node = "", kubeconfig = "", options = "{}"] = process.argv.slice(2);
const agent = await Agent.start(node, kubeconfig, JSON.parse(options));
setInterval(() => {}, 60_000); // the agent alone keeps no process alive
process.on("SIGTERM", () => void agent.stop().then(() => process.exit(0)));
