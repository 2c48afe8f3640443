/** The fused optimizer steps: one dispatch each, over dense blocks that are as long as the first output. */
import type { View } from "../../backend.ts";
import type { Launcher } from "../runtime.ts";
import { MANY } from "./elementwise.ts";
import type { Step } from "./optim-steps.ts";
import { outputsOf, steps } from "./optim-steps.ts";

/** The statements at element `i`. */
function byElement(
  statements: string,
  reads: readonly string[],
  outputs: readonly string[],
): string {
  return [
    ...[...reads, ...outputs].map((name) => `  var ${name} = ${name}_[p.${name}__at + i];`),
    statements,
    ...outputs.map((name) => `  ${name}_[p.${name}__at + i] = ${name};`),
  ].join("\n");
}

/**
 * The statements at elements 4i to 4i + 3, of which only those below `p.n` count if there is a `tail`: what comes behind them is
 * stored as it was.
 */
function byQuads(
  statements: string,
  reads: readonly string[],
  outputs: readonly string[],
  tail: boolean,
): string {
  const names = [...reads, ...outputs];
  const each = ["x", "y", "z", "w"].map((component, k) =>
    [
      tail ? `  if (4u * i + ${k}u < p.n) {` : "  {",
      ...names.map((name) => `  var ${name} = ${name}_four.${component};`),
      statements,
      ...outputs.map((name) => `  ${name}_four.${component} = ${name};`),
      "  }",
    ].join("\n"),
  );
  return [
    ...names.map((name) => `  var ${name}_four = ${name}_[p.${name}__at + i];`),
    ...each,
    ...outputs.map((name) => `  ${name}_[p.${name}__at + i] = ${name}_four;`),
  ].join("\n");
}

const named = (names: readonly string[], views: readonly View[]): Record<string, View> =>
  Object.fromEntries(names.map((name, i) => [`${name}_`, views[i]]));

function launcherOf(kind: string, step: Step): Launcher {
  return (rt, _kernel, inputs, outputs, attrs) => {
    const names = outputsOf(step, outputs.length, attrs);
    const given = step.reads.slice(0, inputs.length);
    const reads = named(
      given,
      inputs.map((view) => rt.dense(view)),
    );
    const writes = named(names, outputs);
    const blocks = given.filter((name) => name !== step.few);
    const { size } = outputs[0];
    const arrays = [...blocks, ...names].map((name) => `${name}_`);
    const quads =
      size >= MANY && arrays.every((name) => (reads[name] ?? writes[name]).offset % 4 === 0);
    const tail = quads && size % 4 !== 0;
    const values = step.numbersIn?.(attrs) ?? attrs;
    const numbers = step.numbers.split(" ").map((name) => [name, Number(values[name] ?? 0)]);
    const has = (name: string): boolean => names.includes(name) || given.includes(name);
    rt.run({
      key: tail ? `${kind} and a tail` : kind,
      reads,
      writes,
      wide: quads ? arrays : [],
      u32: tail ? { n: size } : {},
      f32: Object.fromEntries(numbers),
      items: quads ? Math.ceil(size / 4) : size,
      code: () =>
        quads
          ? byQuads(step.code(has), blocks, names, tail)
          : byElement(step.code(has), blocks, names),
    });
  };
}

export const optimLaunchers: Readonly<Record<string, Launcher>> = Object.fromEntries(
  Object.entries(steps).map(([kind, step]) => [kind, launcherOf(kind, step)]),
);
