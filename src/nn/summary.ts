/** What a model consists of, as a table. */
import { bytesPerElement } from "../backend/backend.ts";
import { zeros } from "../ops/creation.ts";
import type { GeneratorStates } from "../random.ts";
import { watchingGenerators } from "../random.ts";
import { formatShape } from "../shape.ts";
import { noGrad } from "../tape.ts";
import { Tensor } from "../tensor.ts";
import type { Module } from "./module.ts";

interface Row {
  readonly layer: string;
  readonly output: string;
  readonly parameters: string;
  readonly note: string;
}

/** See `Module.summary`. */
export function summary(model: Module, inputs: readonly unknown[]): string {
  const outputs = inputs.length === 0 ? new Map<Module, string>() : outputsOf(model, inputs);
  return `${table(rowsOf(model, outputs))}\n${totals(model)}`;
}

/** What each module gives in a forward pass that leaves no trace: the first call's, and how many. */
function outputsOf(model: Module, inputs: readonly unknown[]): Map<Module, string> {
  const modules = [...new Set(model.namedModules().map(([, module]) => module))];
  const parameters = model.parameters();
  const training = modules.map((module) => module.training);
  // Only shapes are asked for: nobody needs to hear that the values are those of y.
  const sequences = parameters.map((x) => x.sequence);
  const states: GeneratorStates = new Map();
  const seen = new Map<Module, { shape: string; calls: number }>();
  const restore = modules.map((module) =>
    observe(module, (output) => {
      const before = seen.get(module);
      if (before === undefined) seen.set(module, { shape: describe(output), calls: 1 });
      else before.calls++;
    }),
  );
  try {
    model.eval();
    for (const x of parameters) x.sequence = null;
    const [like] = parameters as (Tensor | undefined)[];
    const place = { device: like?.device, dtype: like?.dtype };
    watchingGenerators(states, () =>
      noGrad(() => {
        const args = inputs.map((input) => (isShape(input) ? zeros(input, place) : input));
        model.forward(...(args as never[]));
      }),
    );
  } finally {
    for (const undo of restore) undo();
    for (const [generator, state] of states) generator.setState(state);
    parameters.forEach((x, i) => {
      x.sequence = sequences[i];
    });
    modules.forEach((module, i) => {
      module.training = training[i];
    });
  }
  return new Map(
    [...seen].map(([module, { shape, calls }]) => [
      module,
      calls === 1 ? shape : `${shape} × ${calls}`,
    ]),
  );
}

/** Puts itself before the module's forward; returns what takes it away again. */
function observe(module: Module, see: (output: unknown) => void): () => void {
  const own = Object.getOwnPropertyDescriptor(module, "forward");
  const forward = module.forward as (...inputs: unknown[]) => unknown;
  Object.defineProperty(module, "forward", {
    configurable: true,
    writable: true,
    value: (...inputs: unknown[]) => {
      const output = forward.apply(module, inputs);
      see(output);
      return output;
    },
  });
  return () => {
    delete (module as Partial<Module>).forward;
    if (own !== undefined) Object.defineProperty(module, "forward", own);
  };
}

function isShape(input: unknown): input is number[] {
  return Array.isArray(input) && input.every((extent) => typeof extent === "number");
}

/** [64, 10]; [[5, 64, 8], [1, 64, 8]]; { output: [5, 64, 8], h: [1, 64, 8] } */
function describe(output: unknown): string {
  if (output instanceof Tensor) return formatShape(output.shape);
  if (Array.isArray(output)) return `[${output.map(describe).join(", ")}]`;
  if (typeof output !== "object" || output === null) return String(output);
  const parts = Object.entries(output)
    .filter(([, part]) => part !== null)
    .map(([name, part]) => `${name}: ${describe(part)}`);
  return `{ ${parts.join(", ")} }`;
}

/** A line for every module, as a tree; what stands in several places is counted at the first. */
function rowsOf(model: Module, outputs: ReadonlyMap<Module, string>): Row[] {
  const rows: Row[] = [];
  const parameters = new Set(model.parameters());
  const homes = new Map<Tensor, string>();
  const visit = (module: Module, path: string, label: string, indent: string): void => {
    const own = module.ownTensors().filter(([, x]) => parameters.has(x));
    const fresh = own.filter(([, x]) => !homes.has(x));
    const shared = own
      .filter(([, x]) => homes.has(x))
      .map(([name, x]) => `${name} is ${homes.get(x)}`);
    for (const [name, x] of fresh) homes.set(x, path === "" ? name : `${path}.${name}`);
    const frozen = fresh.filter(([, x]) => !x.requiresGrad).map(([name]) => name);
    const notes = [...shared];
    if (frozen.length > 0) {
      notes.push(frozen.length === own.length ? "frozen" : `${frozen.join(", ")} frozen`);
    }
    rows.push({
      layer: label,
      output: outputs.get(module) ?? "",
      parameters: own.length === 0 ? "" : count(elements(fresh)),
      note: notes.join("; "),
    });
    const children = module.namedChildren();
    children.forEach(([name, child], i) => {
      const last = i === children.length - 1;
      const below = path === "" ? name : `${path}.${name}`;
      const branch = `${indent}${last ? "└─" : "├─"} ${name}: ${kindOf(child)}`;
      visit(child, below, branch, `${indent}${last ? "   " : "│  "}`);
    });
  };
  visit(model, "", kindOf(model), "");
  return rows;
}

function kindOf(module: Module): string {
  return module.constructor.name;
}

const columns = ["layer", "output", "parameters", "note"] as const;

/** Columns that are empty throughout are left out. */
function table(rows: readonly Row[]): string {
  const shown = columns.filter((column) => rows.some((row) => row[column] !== ""));
  const head: Row = { layer: "Layer", output: "Output", parameters: "Parameters", note: "" };
  const width = (column: keyof Row): number =>
    Math.max(...[head, ...rows].map((row) => row[column].length));
  const line = (row: Row): string =>
    shown
      .map((column) =>
        column === "parameters"
          ? row[column].padStart(width(column))
          : row[column].padEnd(width(column)),
      )
      .join("   ")
      .trimEnd();
  const lines = rows.map(line);
  const rule = "─".repeat(Math.max(...lines.map((text) => text.length)));
  return [line(head), rule, ...lines, rule].join("\n");
}

function totals(model: Module): string {
  const parameters = model.namedParameters();
  const frozen = parameters.filter(([, x]) => !x.requiresGrad);
  const amount = (tensors: readonly [string, Tensor][]): string =>
    `${count(elements(tensors))} (${size(tensors)})`;
  return [
    `parameters ${amount(parameters)}${frozen.length > 0 ? `, of these frozen ${count(elements(frozen))}` : ""}`,
    `buffers ${amount(model.namedBuffers())}`,
  ].join("\n");
}

function elements(tensors: readonly [string, Tensor][]): number {
  return tensors.reduce((n, [, x]) => n + x.size, 0);
}

/** 101,770 */
function count(n: number): string {
  return String(n).replace(/\B(?=(\d{3})+$)/g, ",");
}

function size(tensors: readonly [string, Tensor][]): string {
  const bytes = tensors.reduce((n, [, x]) => n + x.size * bytesPerElement[x.dtype], 0);
  return `${count(bytes)} bytes`;
}
