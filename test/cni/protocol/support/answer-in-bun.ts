// Reads a list of calls as JSON and prints the list of answers.
import { readFileSync, writeFileSync } from "node:fs";
import { answers } from "./answer.ts";

writeFileSync(1, JSON.stringify(await answers(JSON.parse(readFileSync(0, "utf8")))));
