/** docs/onnx.md: what each of ONNX' node tests came to. */
import path from "node:path";
import type { Graph } from "./decode.ts";
import { readGraph } from "./decode.ts";
import type { Verdict } from "./judge.ts";
import { judge, onnxTolerance, tolerance } from "./judge.ts";
import { explained, looser } from "./known.ts";
import { testNames } from "./data.ts";

export interface Result {
  readonly name: string;
  /** What the test is about. */
  readonly operator: string;
  readonly reference: Verdict;
  readonly cpu: Verdict;
}

/** Runs all tests on both devices. */
export function judgeAll(folder: string): Result[] {
  const names = testNames(folder);
  return names.map((name) => ({
    name,
    operator: operatorOf(folder, name, names),
    reference: judge(folder, name, "reference"),
    cpu: judge(folder, name, "cpu"),
  }));
}

/**
 * The operator of a model: its last, as what comes before are its constants. `…_expanded` is the operator
 * of the test without that, written in others.
 */
function operatorOf(folder: string, name: string, names: readonly string[]): string {
  const whole = name.replace(/_expanded$/, "");
  const graph: Graph = readGraph(
    path.join(folder, names.includes(whole) ? whole : name, "model.onnx"),
  );
  return graph.nodes.at(-1)!.op;
}

/** One line: the same on both devices, or each. */
export function describe({ name, reference, cpu }: Result): string {
  const remark = looser.find(({ pattern }) => pattern.test(name));
  const of = ({ status, reason }: Verdict): string => {
    if (status === "pass") return remark ? `pass (${remark.reason})` : "pass";
    if (status === "n/a") return `not applicable (${reason})`;
    return `fail (${explained[name]?.reason ?? `UNEXPLAINED: ${reason}`})`;
  };
  const [first, second] = [of(reference), of(cpu)];
  return first === second
    ? `- \`${name}\`: ${first}`
    : `- \`${name}\`: reference ${first}, cpu ${second}`;
}

function groupBy<T>(items: readonly T[], keyOf: (item: T) => string): Map<string, T[]> {
  const groups = new Map<string, T[]>();
  for (const item of items) {
    const group = groups.get(keyOf(item));
    if (group) group.push(item);
    else groups.set(keyOf(item), [item]);
  }
  return groups;
}

/** The lines of the listing, by operator. */
export function listing(results: readonly Result[]): string {
  const groups = groupBy(results, (result) => result.operator);
  return [...groups]
    .sort(([a], [b]) => (a < b ? -1 : 1))
    .map(([operator, group]) => `### ${operator}\n\n${group.map(describe).join("\n")}\n`)
    .join("\n");
}

function table(results: readonly Result[]): string {
  const count = (device: "reference" | "cpu", status: Verdict["status"]): number =>
    results.filter((result) => result[device].status === status).length;
  const row = (device: "reference" | "cpu"): string =>
    `| ${device} | ${count(device, "pass")} | ${count(device, "fail")} | ${count(device, "n/a")} |`;
  return `| Device | Pass | Fail | Not applicable |
| --- | --: | --: | --: |
${row("reference")}
${row("cpu")}`;
}

/** Why tests are not applicable, the most frequent reason first. */
function reasons(results: readonly Result[]): string {
  const groups = groupBy(
    results.filter(({ cpu }) => cpu.status === "n/a"),
    ({ cpu }) => cpu.reason,
  );
  return [...groups]
    .sort(([a, one], [b, other]) => other.length - one.length || (a < b ? -1 : 1))
    .map(([reason, { length }]) => `| ${length} | ${reason} |`)
    .join("\n");
}

export function report(results: readonly Result[]): string {
  return `# The ONNX node tests

ONNX comes with a test for each of its operators: a model of one node (or of several, where the operator is
written in others: \`…_expanded\`), inputs, and the outputs of ONNX' own definition in NumPy. They judge
roadless from outside. This page lists all ${results.length} of ONNX 1.12.0; \`npm run onnx\` writes it, and a test fails
when a result is no longer what it says here.

${table(results)}

Rules:

- Operators are expressed by roadless' public functions (\`test/onnx/operators/\`): by the one of that name,
  or by a few as a user would write them. What would need a function that roadless lacks is not applicable.
- float, and double too, run in the device's float type: float64 on reference, float32 on cpu. Outputs must
  agree within ${tolerance.relative} · |expected| + ${tolerance.absolute}; where a remark says so, within ONNX' own
  ${onnxTolerance.relative} · |expected| + ${onnxTolerance.absolute}. Shapes, whole numbers and booleans must be equal.
- int64 (shapes, axes, indices) runs as int32, which its values must fit. Other widths, unsigned integers,
  half floats and strings do not exist in roadless.
- All outputs that a model names are compared.

## Why tests are not applicable

| Tests | Reason (on cpu) |
| --: | --- |
${reasons(results)}

## All tests, by operator

${listing(results)}`;
}
