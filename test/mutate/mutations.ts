import { stripTypeScriptTypes } from "node:module";
import { type Node, parse } from "acorn";
import { ancestor } from "acorn-walk";

/** One small change of a source file: `[start, end)` of it becomes `text`. */
export interface Mutation {
  readonly file: string;
  /** From 1. */
  readonly line: number;
  readonly kind: string;
  readonly start: number;
  readonly end: number;
  /** What stands there. */
  readonly was: string;
  readonly text: string;
}

/** A node of the syntax tree (ESTree), with the fields that are looked at here. */
// biome-ignore lint/suspicious/noExplicitAny: each kind of node has others
type Syntax = Node & Readonly<Record<string, any>>;

const OPERATORS: Readonly<Record<string, string>> = {
  "<": "<=", "<=": "<", ">": ">=", ">=": ">", "===": "!==", "!==": "===", "-": "+", "*": "/", "&&": "||", "||": "&&",
}; // biome-ignore format: pairs
const METHODS = new Map([["some", "every"], ["every", "some"], ["min", "max"], ["max", "min"]]); // biome-ignore format: pairs
/** What only tells people, or tests, what is going on. */
const TELLING = /^(await )?([\w.]*\.)?(log\.\w+|step|progress|say|onTorn)\(/;

/**
 * Every mutation of a file, in its order: operators and boundaries turned over, conditions fixed, statements, properties, elements
 * and filters left out, promises not awaited, locks not taken.
 *
 * @throws {SyntaxError} when the file is no TypeScript whose types can be erased.
 */
export function mutationsOf(file: string, source: string): Mutation[] {
  const found: Mutation[] = [];
  const tree = parse(stripTypeScriptTypes(source), { ecmaVersion: "latest", sourceType: "module" });
  const add = (kind: string, start: number, end: number, text: string) => {
    const was = source.slice(start, end);
    if (was !== text)
      found.push({ file, line: source.slice(0, start).split("\n").length, kind, start, end, was, text });
  };
  const replace = (kind: string, node: Syntax, text: string) => add(kind, node.start, node.end, text);
  const text = ({ start, end }: Syntax) => source.slice(start, end);
  const operator = (node: Syntax) => {
    const turned = OPERATORS[node["operator"]];
    const at = source.indexOf(node["operator"], node["left"].end);
    if (turned) add("operator", at, at + node["operator"].length, turned);
  };
  const leaveOut = (kind: string, list: readonly (Syntax | null)[]) => {
    for (const [i, one] of list.entries()) {
      if (!one) continue;
      const next = list[i + 1]?.start;
      const previous = list[i - 1]?.end;
      if (next !== undefined) add(kind, one.start, next, "");
      else if (previous !== undefined && previous !== null) add(kind, previous, one.end, "");
      else replace(kind, one, "");
    }
  };
  const visit: Readonly<Record<string, (node: Syntax) => void>> = {
    BinaryExpression: operator,
    LogicalExpression(node) {
      if (node["operator"] === "??") replace("no default", node, text(node["left"]));
      else operator(node);
    },
    UnaryExpression(node) {
      if (node["operator"] === "!") replace("no negation", node, text(node["argument"]));
    },
    Literal(node) {
      if (typeof node["value"] === "boolean") replace("boolean", node, `${!node["value"]}`);
    },
    ConditionalExpression(node) {
      replace("first branch", node, text(node["consequent"]));
      replace("second branch", node, text(node["alternate"]));
    },
    IfStatement(node) {
      replace("condition true", node["test"], "true");
      replace("condition false", node["test"], "false");
    },
    ExpressionStatement(node) {
      const { expression } = node as Syntax & { expression: Syntax };
      const call = expression.type === "AwaitExpression" ? expression["argument"] : expression;
      if (call.type !== "CallExpression" && call.type !== "AssignmentExpression") return;
      if (TELLING.test(text(node))) return;
      replace("no statement", node, ";");
      if (expression.type === "AwaitExpression") replace("not awaited", expression, `void ${text(call)}`);
    },
    ThrowStatement: (node) => replace("no throw", node, ";"),
    ReturnStatement(node) {
      if (!node["argument"]) replace("no return", node, ";");
    },
    ObjectExpression: (node) => leaveOut("no property", node["properties"]),
    ArrayExpression: (node) => leaveOut("no element", node["elements"]),
    CallExpression(node) {
      const { callee } = node as Syntax & { callee: Syntax };
      if (callee.type !== "MemberExpression" || callee["property"].type !== "Identifier") return;
      const { name } = callee["property"];
      const other = METHODS.get(name);
      if (other) replace("method", callee["property"], other);
      if (name === "filter") replace("no filter", node, text(callee["object"]));
    },
    VariableDeclaration(node) {
      const [first] = node["declarations"];
      if (/^(await )?using$/.test(node["kind"]) && first.id.name.startsWith("_"))
        replace("no lock", first.init, "({ [Symbol.dispose]() {} })");
    },
  };
  const visitors = Object.entries(visit).map(([type, look]) => [
    type,
    (node: Node, _state: unknown, above: readonly Node[]) => {
      if (!above.some((one) => one.type === "ExpressionStatement" && TELLING.test(text(one as Syntax))))
        look(node as Syntax);
    },
  ]);
  ancestor(tree, Object.fromEntries(visitors));
  return found.sort((a, b) => a.start - b.start || a.end - b.end);
}

/** The file with a mutation in it. */
export const mutate = (source: string, { start, end, text }: Mutation): string =>
  source.slice(0, start) + text + source.slice(end);
