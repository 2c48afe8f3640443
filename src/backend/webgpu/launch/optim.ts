/** The fused optimizer steps: one dispatch each, over dense blocks that are as long as the first output. */
import type { Attrs, View } from "../../backend.ts";
import type { Launcher } from "../runtime.ts";

/** What a step is made of: its blocks, its numbers (names with spaces between), and statements at element `i`. */
interface Step {
  /** The outputs; the last ones may be missing. */
  readonly outputs: readonly string[];
  /** The inputs; the last ones may be missing. */
  readonly reads: readonly string[];
  readonly numbers: string;
  /** `has(name)`: is that array given? */
  readonly code: (has: (name: string) => boolean) => string;
  /** Names of outputs that are there; by default as many as there are views. */
  readonly given?: (outputs: readonly View[], attrs: Attrs) => readonly string[];
}

/** Reads an element into a variable; `store` writes it back. */
const load = (...names: string[]): string =>
  names.map((name) => `  var ${name} = ${name}_[p.${name}__at + i];`).join("\n");
const store = (...names: string[]): string =>
  names.map((name) => `  ${name}_[p.${name}__at + i] = ${name};`).join("\n");

/** d = sign·g + decay·p, without p where decay is 0. */
const direction = `  var d = p.sign * g;
  if (p.decay != 0.0) { d += p.decay * w; }`;

/** Schedule-Free's y and z from the direction d. */
const scheduleFree = `  y = y + p.ckp1 * (z - y) + p.yStep * d;
  z -= p.lr * d;`;

const steps: Readonly<Record<string, Step>> = {
  lerp: {
    outputs: ["w"],
    reads: ["z"],
    numbers: "weight",
    code: () => `${load("w", "z")}\n  w += p.weight * (z - w);\n${store("w")}`,
  },
  sgdScheduleFreeStep: {
    outputs: ["y", "z"],
    reads: ["g"],
    numbers: "decay ckp1 yStep lr",
    code: () => `${load("g", "y", "z")}
  let d = g + p.decay * y;
${scheduleFree}
${store("y", "z")}`,
  },
  radamScheduleFreeStep: {
    outputs: ["y", "z", "v"],
    reads: ["g"],
    numbers: "beta2 oneMinusBeta2 decay ckp1 yStep lr",
    code: () => `${load("g", "y", "z", "v")}
  v = p.beta2 * v + p.oneMinusBeta2 * g * g;
  let d = g + p.decay * y;
${scheduleFree}
${store("y", "z", "v")}`,
  },
  adamwScheduleFreeStep: {
    outputs: ["y", "z", "v", "m"],
    reads: ["g"],
    numbers:
      "beta2 oneMinusBeta2 invBias2 eps decay ckp1 yStep lr momentum oneMinusMomentum invBias1",
    code: (has) => `${load("g", "y", "z", "v")}
  v = p.beta2 * v + p.oneMinusBeta2 * g * g;
  var step = g;
${
  has("m")
    ? `${load("m")}
  m = p.momentum * m + p.oneMinusMomentum * g;
  step = m * p.invBias1;
${store("m")}`
    : ""
}
  let d = step / (f_sqrt(v * p.invBias2) + p.eps) + p.decay * y;
${scheduleFree}
${store("y", "z", "v")}`,
  },
  adamcScheduleFreeStep: {
    outputs: ["y", "z", "x", "m", "v"],
    reads: ["g", "c"],
    numbers:
      "beta1 oneMinusBeta1 beta2 oneMinusBeta2 invBias2 eps decay step keep ckp1 beta oneMinusBeta",
    code: (has) => `${load("g", "y", "z", "x", "m", "v")}
${["decay", "step", "keep", "ckp1"]
  .map((name, k) => `  let ${name} = ${has("c") ? `c_[p.c__at + ${k}u]` : `p.${name}`};`)
  .join("\n")}
  m = p.beta1 * m + p.oneMinusBeta1 * g;
  v = p.beta2 * v + p.oneMinusBeta2 * g * g;
  let d = m / (f_sqrt(v * p.invBias2) + p.eps);
  z = z - decay * y - step * d;
  x = keep * x + ckp1 * z;
  y = p.beta * x + p.oneMinusBeta * z;
${store("y", "z", "x", "m", "v")}`,
  },
  wrapperBefore: {
    outputs: ["w", "z"],
    reads: [],
    numbers: "decay yDecay toX",
    code: () => `${load("w", "z")}
  z -= p.decay * w;
  let y = w - p.yDecay * w;
  w = y + p.toX * (z - y);
${store("w", "z")}`,
  },
  wrapperAfter: {
    outputs: ["w"],
    reads: ["z"],
    numbers: "ckp1 toY",
    code: () => `${load("w", "z")}
  let x = w + p.ckp1 * (z - w);
  w = x + p.toY * (z - x);
${store("w")}`,
  },
  sgdStep: {
    outputs: ["w", "b"],
    reads: ["g"],
    numbers: "sign decay lr keep gain look",
    code: (has) => `${load("g", "w")}
${direction}
  var u = d;
${
  has("b")
    ? `${load("b")}
  b = p.keep * b + p.gain * d;
  u = b;
  if (p.look > 0.0) { u = d + p.look * b; }
${store("b")}`
    : ""
}
  w -= p.lr * u;
${store("w")}`,
  },
  adamStep: {
    outputs: ["w", "m", "v", "most"],
    reads: ["g"],
    numbers:
      "sign decay shrink lr momentum oneMinusMomentum beta2 oneMinusBeta2 invRoot eps adaptive",
    code: (has) => `${load("g", "w", "m", "v")}
${direction}
  m = p.momentum * m + p.oneMinusMomentum * d;
  v = p.beta2 * v + p.oneMinusBeta2 * d * d;
  var second = v;
${has("most") ? `${load("most")}\n  most = f_max(most, v);\n  second = most;\n${store("most")}` : ""}
  var u = m;
  if (p.adaptive != 0.0) { u = m / (f_sqrt(second) * p.invRoot + p.eps); }
  w = p.shrink * w - p.lr * u;
${store("w", "m", "v")}`,
  },
  rmspropStep: {
    outputs: ["w", "v", "a", "b"],
    reads: ["g"],
    numbers: "sign decay lr alpha oneMinusAlpha eps momentum",
    given: (outputs, { centered }) => {
      const others = centered ? ["a", "b"] : ["b"];
      return ["w", "v", ...others.slice(0, outputs.length - 2)];
    },
    code: (has) => `${load("g", "w", "v")}
${direction}
  v = p.alpha * v + p.oneMinusAlpha * d * d;
  var variance = v;
${
  has("a")
    ? `${load("a")}
  a = p.alpha * a + p.oneMinusAlpha * d;
  variance = f_max(0.0, v - a * a);
${store("a")}`
    : ""
}
  var u = d / (f_sqrt(variance) + p.eps);
${has("b") ? `${load("b")}\n  b = p.momentum * b + u;\n  u = b;\n${store("b")}` : ""}
  w -= p.lr * u;
${store("w", "v")}`,
  },
  adagradStep: {
    outputs: ["w", "s"],
    reads: ["g"],
    numbers: "sign decay lr eps",
    code: () => `${load("g", "w", "s")}
${direction}
  s += d * d;
  w -= p.lr * d / (f_sqrt(s) + p.eps);
${store("w", "s")}`,
  },
  lionStep: {
    outputs: ["w", "m"],
    reads: ["g"],
    numbers: "sign shrink lr beta1 oneMinusBeta1 beta2 oneMinusBeta2",
    code: () => `${load("g", "w", "m")}
  let d = p.sign * g;
  w = p.shrink * w - p.lr * f_sign(p.beta1 * m + p.oneMinusBeta1 * d);
  m = p.beta2 * m + p.oneMinusBeta2 * d;
${store("w", "m")}`,
  },
};

const named = (names: readonly string[], views: readonly View[]): Record<string, View> =>
  Object.fromEntries(names.map((name, i) => [`${name}_`, views[i]]));

function launcherOf(kind: string, step: Step): Launcher {
  return (rt, _kernel, inputs, outputs, attrs) => {
    const names = step.given?.(outputs, attrs) ?? step.outputs.slice(0, outputs.length);
    const reads = step.reads.slice(0, inputs.length);
    const numbers = step.numbers
      .split(" ")
      .map((name) => [name, Number(attrs[name] ?? 0)] as const);
    rt.run({
      key: `${kind} ${names.join("")}`,
      reads: named(
        reads,
        inputs.map((view) => rt.dense(view)),
      ),
      writes: named(names, outputs),
      f32: Object.fromEntries(numbers),
      items: outputs[0].size,
      code: () => step.code((name) => names.includes(name) || reads.includes(name)),
    });
  };
}

export const optimLaunchers: Readonly<Record<string, Launcher>> = Object.fromEntries(
  Object.entries(steps).map(([kind, step]) => [kind, launcherOf(kind, step)]),
);
