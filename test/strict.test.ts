/**
 * What differs between JavaScript engines has no place in src/: the functions of `Math` that the language
 * leaves to the engine, and `**`, which is one of them. src/elementary has them with fixed bits.
 */
import fs from "node:fs";
import path from "node:path";
import { suite } from "uvu";
import * as assert from "uvu/assert";

const strict = suite("strict");

/** Exact in the language's definition: everything else of Math is not, or is not for src/. */
const exact = new Set(
  "E LN2 LN10 LOG2E LOG10E PI SQRT1_2 SQRT2 abs ceil clz32 floor fround imul max min round sign sqrt trunc".split(
    " ",
  ),
);
/** Where numbers may differ from run to run, as they are meant to: unseeded randomness. */
const random = new Set(["files.ts", "random.ts"]);

/** Every use that is not allowed, as readable lines. */
function inexact(file: string, source: string): string[] {
  const found: string[] = [];
  const code = withoutComments(source);
  for (const [, name] of code.matchAll(/\bMath\s*(?:\?\.|\.)\s*(\w+)/g)) {
    if (exact.has(name) || (name === "random" && random.has(file))) continue;
    found.push(`${file}: Math.${name}; src/elementary has it with the same bits on every engine`);
  }
  // `{ exp } = Math`, `Math[name]`, `const m = Math`
  for (const [whole, names] of code.matchAll(/(?:\{([^{}]*)\}\s*=\s*)?\bMath\b(?!\s*\??\.)/g)) {
    const taken = names?.split(",").map((name) => name.split(":")[0].trim());
    if (!taken?.every((name) => exact.has(name))) found.push(`${file}: ${whole.trim()}; name it`);
  }
  // Powers of two with a literal exponent are exact: compilers and engines fold or round them right.
  for (const [whole] of code.replaceAll(/\b2 \*\* -?\d+\b/g, "").matchAll(/.*\*\*.*/g)) {
    found.push(`${file}: ${whole.trim()}; write a product, or pow of src/elementary`);
  }
  return found;
}

/** Comments and texts blanked; what a template computes stays. */
function withoutComments(source: string): string {
  const token = /\/\*[^]*?\*\/|\/\/[^\n]*|"(?:\\.|[^"\\\n])*"|'(?:\\.|[^'\\\n])*'/g;
  return source.replace(token, (text) => (text.startsWith("/") ? " " : '""'));
}

strict("src/ computes the same on every engine", () => {
  const found: string[] = [];
  let files = 0;
  for (const name of fs.readdirSync("src", { recursive: true, encoding: "utf8" })) {
    if (!name.endsWith(".ts") || name === path.join("backend", "wasm", "binaries.ts")) continue;
    files++;
    found.push(...inexact(name, fs.readFileSync(path.join("src", name), "utf8")));
  }
  assert.ok(files > 50);
  assert.equal(found, []);
});

const rows: [source: string, violations: number][] = [
  ["const y = Math.exp(x);", 1],
  ["values.map(Math.tanh)", 1],
  ["x ** 2", 1],
  ["x **= 2", 1],
  ["2 ** e", 1],
  ["`${1024 ** unit}`", 1],
  ["const { sin } = Math;", 1],
  ["const f = Math[name];", 1],
  ["Math.random()", 1],
  ["const y = Math.sqrt(x) + 2 ** -25 * Math.fround(2 ** 31);", 0],
  ["const { PI, max: most } = Math;", 0],
  ['// Math.exp(x)\n/** x ** 2 */ "Math.log"', 0],
];
for (const [source, violations] of rows) {
  strict(`${violations === 0 ? "allows" : "refuses"} ${source.replaceAll("\n", " ")}`, () => {
    assert.is(inexact("ops/x.ts", source).length, violations);
  });
}

strict.run();
