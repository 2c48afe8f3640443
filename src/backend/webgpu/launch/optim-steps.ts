/**
 * What the fused optimizer steps do to one element, as WGSL statements on variables that are named like the blocks; optim.ts
 * reads and writes them. The records in src/optim/ define the steps.
 */
import type { Attrs } from "../../backend.ts";

/** What a step is made of: its blocks, its numbers (names with spaces between), and statements. */
export interface Step {
  /** Blocks that change; the last ones may be missing. */
  readonly outputs: readonly string[];
  /** Blocks that are only read; the last ones may be missing. */
  readonly reads: readonly string[];
  /** The one of `reads` that is no block but a few numbers, `NAME_[p.NAME__at + k]`. */
  readonly few?: string;
  readonly numbers: string;
  /** `has(name)`: is that block given? */
  readonly code: (has: (name: string) => boolean) => string;
  /** Names of `count` outputs; by default the first. */
  readonly given?: (count: number, attrs: Attrs) => readonly string[];
  /** Where `numbers` are; by default in the attributes. */
  readonly numbersIn?: (attrs: Attrs) => Attrs;
}

/** Names of the `count` outputs that a call has. `mean` is the last one where x is kept beside y (attribute `keepsX`). */
export function outputsOf(step: Step, count: number, attrs: Attrs): readonly string[] {
  if (attrs.keepsX) return [...outputsOf(step, count - 1, { ...attrs, keepsX: 0 }), "mean"];
  return step.given?.(count, attrs) ?? step.outputs.slice(0, count);
}

/** d = sign·g + decay·p, without p where decay is 0. */
const direction = `  var d = p.sign * g;
  if (p.decay != 0.0) { d += p.decay * w; }`;

/**
 * Schedule-Free's y and z from the direction d. The forms without modes give the x from before the step: z moves first then, and
 * y becomes the new x.
 */
const scheduleFree = (has: (name: string) => boolean): string =>
  has("x")
    ? `  z -= p.lr * d;
  y = x + p.ckp1 * (z - x);`
    : `  y = y + p.ckp1 * (z - y) + p.yStep * d;
  z -= p.lr * d;
${has("mean") ? "  mean += p.ckp1 * (z - mean);" : ""}`;

/** What ScheduleFreeWrapper does to y and to w, its z, which the base's step then moves. */
const before = `  w -= p.zDecay * y;
  y -= p.yDecay * y;
  y += p.toX * (w - y);`;
const after = `  y += p.ckp1 * (w - y);
  y += p.toY * (w - y);`;
const afterMean = `  mean += p.ckp1 * (w - mean);
  y = w;`;

/** Steps of base optimizers, of w. */
const baseSteps: Readonly<Record<string, Step>> = {
  sgdStep: {
    outputs: ["w", "b"],
    reads: ["g"],
    numbers: "sign decay lr keep gain look",
    code: (has) => `${direction}
  var u = d;
${
  has("b")
    ? `  b = p.keep * b + p.gain * d;
  u = b;
  if (p.look > 0.0) { u = d + p.look * b; }`
    : ""
}
  w -= p.lr * u;`,
  },
  adamStep: {
    outputs: ["w", "m", "v", "most"],
    reads: ["g"],
    numbers:
      "sign decay shrink lr momentum oneMinusMomentum beta2 oneMinusBeta2 invRoot eps adaptive",
    code: (has) => `${direction}
  m = p.momentum * m + p.oneMinusMomentum * d;
  v = p.beta2 * v + p.oneMinusBeta2 * d * d;
  var second = v;
${has("most") ? `  most = f_max(most, v);\n  second = most;` : ""}
  var u = m;
  if (p.adaptive != 0.0) { u = m / (f_sqrt(second) * p.invRoot + p.eps); }
  w = p.shrink * w - p.lr * u;`,
  },
  rmspropStep: {
    outputs: ["w", "v", "a", "b"],
    reads: ["g"],
    numbers: "sign decay lr alpha oneMinusAlpha eps momentum",
    given: (count, { centered }) => {
      const others = centered ? ["a", "b"] : ["b"];
      return ["w", "v", ...others.slice(0, count - 2)];
    },
    code: (has) => `${direction}
  v = p.alpha * v + p.oneMinusAlpha * d * d;
  var variance = v;
${
  has("a")
    ? `  a = p.alpha * a + p.oneMinusAlpha * d;
  variance = f_max(0.0, v - a * a);`
    : ""
}
  var u = d / (f_sqrt(variance) + p.eps);
${has("b") ? `  b = p.momentum * b + u;\n  u = b;` : ""}
  w -= p.lr * u;`,
  },
  adagradStep: {
    outputs: ["w", "s"],
    reads: ["g"],
    numbers: "sign decay lr eps",
    code: () => `${direction}
  s += d * d;
  w -= p.lr * d / (f_sqrt(s) + p.eps);`,
  },
  lionStep: {
    outputs: ["w", "m"],
    reads: ["g"],
    numbers: "sign shrink lr beta1 oneMinusBeta1 beta2 oneMinusBeta2",
    code: () => `  let d = p.sign * g;
  w = p.shrink * w - p.lr * f_sign(p.beta1 * m + p.oneMinusBeta1 * d);
  m = p.beta2 * m + p.oneMinusBeta2 * d;`,
  },
};

/** The same with what the wrapper does before and after. */
const wrapped = (base: Step): Step => ({
  ...base,
  outputs: ["y", ...base.outputs],
  numbers: `zDecay yDecay toX ckp1 toY ${base.numbers}`,
  code: (has) => `${before}\n${base.code(has)}\n${has("mean") ? afterMean : after}`,
  given: (count, attrs) => ["y", ...outputsOf(base, count - 1, attrs.step as Attrs)],
  numbersIn: (attrs) => ({ ...attrs, ...(attrs.step as Attrs) }),
});

const scheduleFreeSteps: Readonly<Record<string, Step>> = {
  lerp: {
    outputs: ["w", "x"],
    reads: ["z"],
    numbers: "weight",
    code: (has) => `${has("x") ? "  x = w;\n" : ""}  w += p.weight * (z - w);`,
  },
  sgdScheduleFreeStep: {
    outputs: ["y", "z"],
    reads: ["g", "x"],
    numbers: "decay ckp1 yStep lr",
    code: (has) => `  let d = g + p.decay * y;
${scheduleFree(has)}`,
  },
  radamScheduleFreeStep: {
    outputs: ["y", "z", "v"],
    reads: ["g", "x"],
    numbers: "beta2 oneMinusBeta2 decay ckp1 yStep lr",
    code: (has) => `  v = p.beta2 * v + p.oneMinusBeta2 * g * g;
  let d = g + p.decay * y;
${scheduleFree(has)}`,
  },
  adamwScheduleFreeStep: {
    outputs: ["y", "z", "v", "m"],
    reads: ["g", "x"],
    numbers:
      "beta2 oneMinusBeta2 invBias2 eps decay ckp1 yStep lr momentum oneMinusMomentum invBias1",
    code: (has) => `  v = p.beta2 * v + p.oneMinusBeta2 * g * g;
  var step = g;
${
  has("m")
    ? `  m = p.momentum * m + p.oneMinusMomentum * g;
  step = m * p.invBias1;`
    : ""
}
  let d = step / (f_sqrt(v * p.invBias2) + p.eps) + p.decay * y;
${scheduleFree(has)}`,
  },
  adamcScheduleFreeStep: {
    outputs: ["y", "z", "x", "m", "v"],
    reads: ["g", "c"],
    few: "c",
    numbers:
      "beta1 oneMinusBeta1 beta2 oneMinusBeta2 invBias2 eps decay step keep ckp1 beta oneMinusBeta",
    code: (has) => `${["decay", "step", "keep", "ckp1"]
      .map((name, k) => `  let ${name} = ${has("c") ? `c_[p.c__at + ${k}u]` : `p.${name}`};`)
      .join("\n")}
  m = p.beta1 * m + p.oneMinusBeta1 * g;
  v = p.beta2 * v + p.oneMinusBeta2 * g * g;
  let d = m / (f_sqrt(v * p.invBias2) + p.eps);
  z = z - decay * y - step * d;
  x = keep * x + ckp1 * z;
  y = p.beta * x + p.oneMinusBeta * z;`,
  },
  wrapperBefore: {
    outputs: ["y", "w"],
    reads: [],
    numbers: "zDecay yDecay toX",
    code: () => before,
  },
  wrapperAfter: { outputs: ["y"], reads: ["w"], numbers: "ckp1 toY", code: () => after },
};

export const steps: Readonly<Record<string, Step>> = {
  ...scheduleFreeSteps,
  ...baseSteps,
  ...Object.fromEntries(
    Object.entries(baseSteps).map(([kind, step]) => [`${kind}Wrapped`, wrapped(step)]),
  ),
};
