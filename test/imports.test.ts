/** Imports in src/ point down, never up, and never between siblings, never in a circle. */
import fs from "node:fs";
import path from "node:path";
import { suite } from "uvu";
import * as assert from "uvu/assert";

/**
 * Top to bottom; a name stands for src/NAME.ts and src/NAME/. A file may import from lower layers,
 * and from its own entry; "together" lets the entries of one layer import each other.
 */
const layers: { names: string[]; together?: true }[] = [
  { names: ["cli"] },
  { names: ["vectors"] },
  { names: ["index"] },
  { names: ["checkpoint", "compare"] },
  { names: ["nn", "optim", "data", "io"] },
  { names: ["methods"] },
  { names: ["ops"] },
  { names: ["custom-op", "recompute", "gradcheck", "compile"] },
  {
    names: [
      "op",
      "autograd",
      "tape",
      "multi-output",
      "scope",
      "tensor",
      "storage",
      "capture",
      "arena",
      "device",
      "random",
    ],
    together: true,
  },
  { names: ["files"] },
  { names: ["backend/reference", "backend/wasm", "backend/webgpu"] },
  { names: ["backend/layout", "backend/program-scratch"] },
  { names: ["backend/backend"] },
  { names: ["shape", "errors", "debug", "elementary"], together: true },
];
/** Backends: only `index` names them. */
const concrete = ["backend/reference", "backend/wasm", "backend/webgpu"];
/** Packages, and the entry that may import them. */
const packages: Record<string, string> = { "@assemblyscript/loader": "backend/wasm" };

interface Import {
  specifier: string;
  /** Gone at run time: `import type`, `typeof import()`. */
  typeOnly: boolean;
  dynamic: boolean;
}

/** Every violation in the files (path below src/ → source), as readable lines. */
function violations(files: Map<string, string>): string[] {
  const found: string[] = [];
  const values = new Map<string, string[]>(); // the imports left at run time
  for (const [file, source] of files) {
    const from = placeOf(file);
    if (!from) found.push(`${file}: no layer holds it; add it to the table in imports.test.ts`);
    values.set(file, []);
    for (const { specifier, typeOnly, dynamic } of importsOf(source)) {
      if (!specifier.startsWith(".")) {
        if (specifier.startsWith("node:") && dynamic) continue;
        if (packages[specifier] !== from?.entry) found.push(`${file}: may not import ${specifier}`);
        continue;
      }
      const target = path.posix.join(path.posix.dirname(file), specifier);
      if (!files.has(target)) found.push(`${file}: imports ${target}, which does not exist`);
      else if (!typeOnly) values.get(file)!.push(target);
      const to = placeOf(target);
      const reason = from && to && forbidden(from, to);
      if (reason) found.push(`${file}: imports ${target}: ${reason}`);
    }
  }
  return [...found, ...cycles(values)];
}

type Place = { layer: number; entry: string };

function placeOf(file: string): Place | undefined {
  for (const [layer, { names }] of layers.entries()) {
    for (const entry of names) {
      if (file === `${entry}.ts` || file.startsWith(`${entry}/`)) return { layer, entry };
    }
  }
  return undefined;
}

function forbidden(from: Place, to: Place): string | undefined {
  if (from.entry === to.entry) return undefined;
  if (to.layer < from.layer) return "imports point down, never up";
  if (concrete.includes(to.entry) && from.entry !== "index") return "only index names a backend";
  if (to.layer === from.layer && !layers[to.layer].together) return "never between siblings";
  return undefined;
}

/** The imports and re-exports of a module, whatever their form. */
function importsOf(source: string): Import[] {
  const code = withoutComments(source);
  const found: Import[] = [];
  const statement =
    /(?:^|[;}\n])\s*(?:import|export)\s+(type\s+)?(?:[\w*{][^;"'`=()]*?\bfrom\s*)?["']([^"'\n]+)["']/g;
  for (const [, type, specifier] of code.matchAll(statement)) {
    found.push({ specifier, typeOnly: type !== undefined, dynamic: false });
  }
  for (const [whole, specifier] of code.matchAll(
    /(?:\btypeof\s+)?\bimport\s*\(\s*["'`]([^"'`\n]+)["'`]/g,
  )) {
    found.push({ specifier, typeOnly: whole.startsWith("typeof"), dynamic: true });
  }
  return found;
}

/** Comments blanked; templates too, as a worker's source may hold imports of its own. */
function withoutComments(source: string): string {
  const token =
    /\/\*[^]*?\*\/|\/\/[^\n]*|"(?:\\.|[^"\\\n])*"|'(?:\\.|[^'\\\n])*'|`(?:\\.|[^`\\])*`/g;
  return source.replace(token, (text) => {
    if (text.startsWith("/")) return " ";
    return text.includes("\n") ? "``" : text;
  });
}

/** One line for each cycle of run-time imports that a depth-first walk meets. */
function cycles(imports: Map<string, string[]>): string[] {
  const found: string[] = [];
  const done = new Set<string>();
  const walk = (file: string, trail: string[]) => {
    const start = trail.indexOf(file);
    if (start >= 0) found.push(`cycle: ${[...trail.slice(start), file].join(" → ")}`);
    if (start >= 0 || done.has(file)) return;
    for (const next of imports.get(file) ?? []) walk(next, [...trail, file]);
    done.add(file);
  };
  for (const file of imports.keys()) walk(file, []);
  return found;
}

const imports = suite("imports");

imports("src/ keeps to its layers", () => {
  const files = new Map<string, string>();
  for (const name of fs.readdirSync("src", { recursive: true, encoding: "utf8" })) {
    if (name.endsWith(".ts")) files.set(name, fs.readFileSync(path.join("src", name), "utf8"));
  }
  assert.ok(files.size > 0);
  assert.equal(violations(files), []);
});

const tree = (files: Record<string, string>) => violations(new Map(Object.entries(files)));

imports("a tree that points down is fine", () => {
  const files = {
    "index.ts": `import { Linear } from "./nn/linear.ts";\nimport "./backend/wasm/wasm.ts";\n
      export const gpu = () => import("./backend/webgpu/webgpu.ts");`,
    "nn/linear.ts": `import { matmul } from "../ops/matmul.ts"; import type { M } from "./module.ts";`,
    "nn/module.ts": `/* import { sgd } from "../optim/sgd.ts" */ const text = \`\nimport "../optim/sgd.ts"\`;`,
    "ops/matmul.ts": `import {\n  defineOp,\n  type Op,\n} from "../op.ts";`,
    "op.ts": `import type { Tensor } from "./tensor.ts";`,
    "tensor.ts": `import { run } from "./op.ts";`,
    "backend/wasm/wasm.ts": `import { instantiate } from "@assemblyscript/loader";
      import type { Backend } from "../backend.ts";
      let w: typeof import("node:worker_threads");`,
    "backend/webgpu/webgpu.ts": `export * from "../../errors.ts";`,
    "backend/backend.ts": `import type { Shape } from "../shape.ts";`,
    "shape.ts": `import { ShapeError } from "./errors.ts";`,
    "errors.ts": "",
  };
  assert.equal(tree(files), []);
});

const rows: { what: string; files: Record<string, string>; found: string }[] = [
  {
    what: "upwards",
    files: { "op.ts": `import { relu } from "./ops/relu.ts";`, "ops/relu.ts": "" },
    found: "op.ts: imports ops/relu.ts: imports point down, never up",
  },
  {
    what: "between siblings, even of types",
    files: { "nn/a.ts": `import type { B } from "../optim/b.ts";`, "optim/b.ts": "" },
    found: "nn/a.ts: imports optim/b.ts: never between siblings",
  },
  {
    what: "between backends",
    files: {
      "backend/wasm/a.ts": `export { b } from "../reference.ts";`,
      "backend/reference.ts": "",
    },
    found: "backend/wasm/a.ts: imports backend/reference.ts: only index names a backend",
  },
  {
    what: "a concrete backend, lazily",
    files: { "device.ts": `await import("./backend/webgpu.ts");`, "backend/webgpu.ts": "" },
    found: "device.ts: imports backend/webgpu.ts: only index names a backend",
  },
  {
    what: "a backend reaching up",
    files: { "backend/wasm.ts": `import type { Tensor } from "../tensor.ts";`, "tensor.ts": "" },
    found: "backend/wasm.ts: imports tensor.ts: imports point down, never up",
  },
  {
    what: "a cycle of values",
    files: { "ops/a.ts": `import "./b.ts";`, "ops/b.ts": `import { a } from "./a.ts";` },
    found: "cycle: ops/a.ts → ops/b.ts → ops/a.ts",
  },
  {
    what: "Node's modules",
    files: { "io/file.ts": `import fs from "node:fs";` },
    found: "io/file.ts: may not import node:fs",
  },
  {
    what: "a package elsewhere than in its place",
    files: { "op.ts": `import { instantiate } from "@assemblyscript/loader";` },
    found: "op.ts: may not import @assemblyscript/loader",
  },
  {
    what: "a file that no layer holds",
    files: { "utilities.ts": "" },
    found: "utilities.ts: no layer holds it; add it to the table in imports.test.ts",
  },
  {
    what: "what does not exist",
    files: { "op.ts": `import "./nowhere.ts";` },
    found: "op.ts: imports nowhere.ts, which does not exist",
  },
];
for (const { what, files, found } of rows) {
  imports(`refuses ${what}`, () => assert.equal(tree(files), [found]));
}

imports.run();
