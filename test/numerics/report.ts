/** docs/numerics.md from what was measured. */
import type { Errors, Measured } from "./measure.ts";
import type { Domain, Interval, Subject } from "./subjects.ts";
import { subjects, titleOf } from "./subjects.ts";

export type Precision = "strict" | "fast";

/** Device "cpu" in both precisions, and device "webgpu". */
export type Column = Precision | "webgpu";

/** What is committed beside the document: errors by column and by subject. */
export interface Measurements {
  /** Batches measured of every subject. */
  batches: Partial<Record<Column, number>>;
  results: Partial<Record<Column, Record<string, Measured>>>;
  /** What the GPU of column "webgpu" calls itself. */
  adapter?: string;
}

const number = (x: number): string => (x === 0 ? "0" : String(Number(x.toPrecision(3))));

function interval({ low, high, log, signed }: Interval): string {
  return `${signed ? "±" : ""}[${low}, ${high}]${log ? " log" : ""}`;
}

function domainText(domain: Domain): string {
  return "below" in domain ? `0 … ${domain.below - 1}` : domain.map(interval).join(", ");
}

function domains({ domains: all }: Subject): string {
  return [...new Set(all.map(domainText))].join("; ");
}

const pair = (errors: Errors | undefined): string => {
  if (errors === undefined || errors.count === 0) return "–";
  return errors.max === 0 ? "0" : `${number(errors.max)} / ${number(errors.p999)}`;
};

/** Both units, where they are not the result's own ulp. */
function unitText({ forward = "result", backward = "result" }: Subject): string {
  return forward === backward ? forward : `${forward}, ${backward}`;
}

/** Is the largest forward error within WebNN's tolerance? */
export function withinWebnn({ webnn }: Subject, { forward }: Measured): boolean | undefined {
  if (webnn === undefined) return undefined;
  return "ulp" in webnn ? forward.max <= webnn.ulp : forward.absolute <= webnn.absolute;
}

function webnnText(subject: Subject, strict: Measured | undefined): string {
  const { webnn, forward = "result" } = subject;
  if (webnn === undefined) return "– | ";
  const tolerance = "ulp" in webnn ? `${webnn.ulp} ulp` : "1/1024";
  if (strict === undefined) return `${webnn.op} ${tolerance} | `;
  const verdict = withinWebnn(subject, strict) ? "yes" : "**no**";
  const counted = "ulp" in webnn && forward !== "result" ? `, in ulp of ${forward}` : "";
  const error = "ulp" in webnn ? "" : ` (${strict.forward.absolute.toExponential(1)})`;
  return `${webnn.op} ${tolerance} | ${verdict}${error}${counted}`;
}

function row(subject: Subject, { results }: Measurements): string {
  const title = titleOf(subject);
  const strict = results.strict?.[title];
  const measured = [strict, results.fast?.[title], results.webgpu?.[title]];
  const name =
    subject.call === undefined ? `\`${subject.op}\`` : `\`${subject.op}\`: ${subject.call}`;
  const figures = measured.flatMap((one) => [pair(one?.forward), pair(one?.backward)]);
  const cells = [name, domains(subject), unitText(subject), ...figures, webnnText(subject, strict)];
  return `| ${cells.join(" | ")} |`;
}

const head = `| operation | domain | unit | strict forward | strict backward | fast forward | fast backward | webgpu forward | webgpu backward | WebNN | within |
|---|---|---|---|---|---|---|---|---|---|---|`;

/** The whole document. */
export function render(measurements: Measurements): string {
  const families = [...new Set(subjects.map(({ family }) => family))];
  const tables = families.map((family) => {
    const lines = subjects.filter((s) => s.family === family).map((s) => row(s, measurements));
    return `## ${family}\n\n${head}\n${lines.join("\n")}`;
  });
  const kernels = subjects.flatMap(({ also = [] }) => also.map((name) => `\`${name}\``));
  return `${introduction(measurements)}\n\n${tables.join("\n\n")}\n\n## Kernels of operations above

Measured as part of the operation they belong to, most of them as its backward error: ${kernels.join(", ")}.\n`;
}

const isSoftware = (adapter = ""): boolean => /swiftshader|llvmpipe/i.test(adapter);

const introduction = ({ batches, adapter }: Measurements): string => `# Errors of every operation

Written by \`npm run numerics\` from test/numerics/; do not edit. Errors of devices cpu and webgpu in float32 against the
float64 reference, forward and backward: the largest / the one that 99.9 % of the results stay below. One number
where both are 0. \`npm test\` measures a part again and fails where an operation exceeds these figures, where an
operation is not listed, or where this file and the figures beside the code (test/numerics/measured.json) differ.

## What is measured

**The reference** is the operation's definition: its record's \`reference\` function, in float64, evaluated at inputs that
are float32 numbers, so that only the computation's error counts and not that of its inputs. Its own elementary
functions and their errors are in [elementary.md](elementary.md). The
backward reference is the same graph walked in float64, its saved values in float64 too; float32 saves float32 values,
whose rounding is part of the backward error.

**The unit.** ulp(v) is the distance of float32 numbers at |v|: 2^(⌊log2 |v|⌋ − 23), at least 2^−149. An error is
|found − expected| / ulp(v), with \`expected\` not rounded: a correctly rounded result has up to 0.5. v is, by the column
*unit* (forward, then backward where that differs):

- *result*: the expected value itself.
- *terms*: the sum of the magnitudes of all terms whose sum the value is (the same call on |inputs|, |dy|). No
  summation in float32 can be held to the ulp of a sum that cancels to nearly 0.
- *largest*: the largest magnitude in that result. For normalisation, recurrence and what is composed of many steps.
- *gradient*: |dy|, if larger than the value: backward of functions that saturate, such as 1 − y² with y near 1.

**The inputs.** ${batches.strict} batches per operation on the CPU, ${batches.webgpu} on the GPU (each with 4096 points of an
elementwise operation), from the library's own generator, so the same everywhere. Each interval of a domain gets an equal
share: uniform, or *log*: uniform in the logarithm of the magnitude, ± with either sign. dy has magnitudes in [0.5, 1.5] and either sign.

**strict** and **fast** are the precisions of \`init\`. Strict results are the same bits on every engine; fast ones (relaxed
SIMD) depend on the engine: these are of V8 on x86-64, with fused multiply-add. A dash: not measured, or no gradient.

**webgpu** is of ${adapter}${isSoftware(adapter) ? ", a GPU in software" : ""}. The algorithms are the same on every
adapter, but WGSL leaves it some of the rounding: of a division (up to 2.5 ulp), and whether \`fma\` rounds once or twice.
Denormal numbers may count as 0, so where a result is one, 0 is no error.

**Tolerances** of the tests: these figures, where a part is measured again, and twice these for fast and webgpu (on this
adapter alone). The op table (test/ops/) allows, relative to the largest expected magnitude or 1, 2e-6 forward and 4e-6
backward on the CPU, 3e-6 and 6e-6 on the GPU, in every layout, unless a row says more. On a GPU with \`shader-f16\`, in
precision fast, \`linear\` and the convolutions round their operands forward: 2^−10 (1e-3) of the sum of the terms' magnitudes
(test/webgpu/halves.test.ts; 3e-4 is the most that llvmpipe showed; twice that on a driver that does not round to nearest, which WGSL allows). Operands below 6e-5 have
errors up to 3e-8, or count as 0. Their gradients are those of strict.

**WebNN** is the tolerance for float32 of W3C's WebNN conformance tests (web-platform-tests, webnn/resources/utils.js,
\`PrecisionMetrics\`), in ulp of the result, or absolute; for sums, products and pooling it is computed from the extents
here. It is compared with the largest strict forward error, or the largest absolute one (in brackets). Where
our unit is not the result's ulp the comparison says so. WebNN has no backward.

Reproduce: \`npm run numerics\` (\`-- --only TEXT\` measures some again and keeps the others' figures, as \`--on strict,fast\` does for
device webgpu; how Node finds a GPU is in [webgpu.md](webgpu.md)).

Where errors are larger than a few ulp there is a reason: \`softmax\`, \`logsumexp\` backward and products of powers
multiply the rounding of an exponent by the exponent; \`erf\` backward is e^(−x²), in which the rounding of x² counts x²
times; \`prod\` multiplies 256 rounded products; \`pow\` backward subtracts 1 from the exponent in float32.`;
