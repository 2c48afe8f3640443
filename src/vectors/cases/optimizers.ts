/** The optimizers that `exportVectors` writes: every class, in the same situations. */
import { Draw } from "../draw.ts";
import type { FloatType } from "../format.ts";
import { rounded } from "../format.ts";
import type { OptimizerEvent, OptimizerRunSpec } from "../optimizer-run.ts";
import type { BaseSpec } from "../optimizers.ts";

type Options = Readonly<Record<string, unknown>>;

interface OptimizerClass {
  readonly class: string;
  /** Options of every case. */
  readonly common: Options;
  /** Options of a case of their own, by its name. */
  readonly options: Readonly<Record<string, Options>>;
  /** Has train() and eval(). */
  readonly modes?: boolean;
  /** Steps by a closure alone. */
  readonly closure?: boolean;
  /** Wrappers: what they wrap, by name. `common` are options of the wrapper. */
  readonly bases?: Readonly<Record<string, BaseSpec>>;
  /** Takes nothing but matrices. */
  readonly matrices?: boolean;
}

const averaging: Readonly<Record<string, Options>> = {
  weight_decay: { weight_decay: 0.1 },
  warmup: { warmup_steps: 4 },
  r_power: { r: 2, warmup_steps: 3 },
  weight_lr_power_0: { weight_lr_power: 0, warmup_steps: 4 },
  weight_lr_power_1: { weight_lr_power: 1, warmup_steps: 4 },
};
const sgdFree = { ...averaging, momentum: { momentum: 0.6 }, momentum_high: { momentum: 0.98 } };
const adamFree = { ...averaging, betas: { betas: [0.6, 0.9], eps: 1e-4 } };
const radamFree = {
  weight_decay: { weight_decay: 0.1 },
  weight_lr_power_0: { weight_lr_power: 0 },
  r_power: { r: 2 },
  betas: { betas: [0.8, 0.95] },
  loud_phase: { silent_sgd_phase: false },
  never_rectified: { betas: [0.9, 0.5] },
};
const base = (name: string, options: Options): BaseSpec => ({ class: name, options });
const bases = {
  SGD: base("SGD", { lr: 0.25, momentum: 0.9 }),
  Adam: base("Adam", { lr: 0.05 }),
  AdamW: base("AdamW", { lr: 0.05, weight_decay: 0.1 }),
  RMSprop: base("RMSprop", { lr: 0.02, alpha: 0.9 }),
  Adagrad: base("Adagrad", { lr: 0.1 }),
  RAdam: base("RAdam", { lr: 0.05 }),
};

const classes: readonly OptimizerClass[] = [
  ...["SGDScheduleFree", "SGDScheduleFreeReference"].map((name) => {
    return { class: name, common: { lr: 0.25 }, options: sgdFree, modes: true };
  }),
  { class: "SGDScheduleFreeClosure", common: { lr: 0.25 }, options: sgdFree, closure: true },
  ...["AdamWScheduleFree", "AdamWScheduleFreeReference", "AdamWScheduleFreePaper"].map((name) => {
    return { class: name, common: { lr: 0.05 }, options: adamFree, modes: true };
  }),
  { class: "AdamWScheduleFreeClosure", common: { lr: 0.05 }, options: adamFree, closure: true },
  { class: "RAdamScheduleFree", common: { lr: 0.05 }, options: radamFree, modes: true },
  { class: "RAdamScheduleFreeClosure", common: { lr: 0.05 }, options: radamFree, closure: true },
  {
    class: "AdamCScheduleFreePlusPaper",
    common: { lr: 0.3 },
    options: {
      weight_decay: { weight_decay: 2 },
      betas: { betas: [0.8, 0.9], sf_beta1: 0.95, eps: 1e-6 },
      c_warmup: { c_warmup: 5 },
      anneal: { sf_beta1_anneal_steps: 8, sf_beta1: 0.8 },
      weight_lr_power_0: { weight_lr_power: 0 },
      polyak_beta: { polyak_beta: 0.9 },
    },
    modes: true,
  },
  ...["ScheduleFreeWrapper", "ScheduleFreeWrapperReference"].map((name) => ({
    class: name,
    common: { momentum: 0.9 },
    options: {
      weight_decay_at_y: { weight_decay_at_y: 0.05 },
      momentum: { momentum: 0.6 },
      r_power: { r: 2 },
      weight_lr_power_0: { weight_lr_power: 0 },
    },
    modes: true,
    bases,
  })),
  {
    class: "SGD",
    common: { lr: 0.1 },
    options: {
      momentum: { momentum: 0.9, dampening: 0.25, weight_decay: 0.1 },
      nesterov: { momentum: 0.9, nesterov: true },
      maximize: { momentum: 0.5, maximize: true },
    },
  },
  ...["Adam", "AdamW"].map((name) => ({
    class: name,
    common: { lr: 0.05 },
    options: {
      weight_decay: { weight_decay: 0.1 },
      betas: { betas: [0.6, 0.9], eps: 1e-4 },
      amsgrad: { amsgrad: true },
    },
  })),
  {
    class: "RMSprop",
    common: { lr: 0.02 },
    options: {
      alpha: { alpha: 0.9, weight_decay: 0.1 },
      momentum: { momentum: 0.5 },
      centered: { centered: true, momentum: 0.5 },
    },
  },
  {
    class: "Adagrad",
    common: { lr: 0.1 },
    options: {
      lr_decay: { lr_decay: 0.05, weight_decay: 0.1 },
      accumulator: { initial_accumulator_value: 0.5 },
    },
  },
  {
    class: "RAdam",
    common: { lr: 0.05 },
    options: { weight_decay: { weight_decay: 0.1 }, betas: { betas: [0.8, 0.95] } },
  },
  {
    class: "Lion",
    common: { lr: 0.01 },
    options: { weight_decay: { weight_decay: 0.1 }, betas: { betas: [0.8, 0.95] } },
  },
  { class: "Adafactor", common: { lr: 0.05 }, options: { weight_decay: { weight_decay: 0.1 } } },
  {
    class: "Muon",
    common: { lr: 0.02 },
    options: { plain: { nesterov: false, weight_decay: 0 } },
    matrices: true,
  },
  { class: "ACSA", common: { lr: 0.1 }, options: {}, modes: true },
];

/** What happens in a case, beside its options. */
interface Situation {
  readonly name: string;
  readonly options?: Options;
  readonly groups?: readonly { readonly options?: Options; readonly shapes: readonly number[][] }[];
  readonly steps?: number;
  /** From the numbers about 1 to the gradients of a step. */
  readonly scale?: (step: number) => number;
  /** No gradient for that parameter (counted over all groups) in that step. */
  readonly missing?: (step: number, parameter: number) => boolean;
  /** Events after a step. */
  readonly after?: (step: number) => readonly OptimizerEvent[];
  readonly closure?: boolean;
}

const toggle: readonly OptimizerEvent[] = [{ op: "eval" }, { op: "train" }];
const lr = (group: number, value: number): OptimizerEvent => ({ op: "set_lr", group, lr: value });

function situations(of: OptimizerClass): Situation[] {
  const { lr: rate = 0.1 } = of.common as { lr?: number };
  const one = of.matrices ? [[2, 3]] : [[3], [2, 2]];
  const three = of.matrices
    ? [
        [2, 2],
        [1, 3],
        [3, 2],
      ]
    : [[1], [2], [2, 1]];
  const middle = (step: number): readonly OptimizerEvent[] =>
    of.modes && step === 4 ? toggle : [];
  const defaults = [{ shapes: one }];
  // AdamC's step size comes from sums of products of gradients, which cancel: float32 shows it.
  const isAdamC = of.class.startsWith("AdamC");
  const magnitudes = isAdamC ? [1, 0.5, 2, 1, 0.25] : [1, 1e-12, 1e6, 0, 1e-30, 1];
  const common: Situation[] = [
    { name: "defaults", groups: defaults, steps: 10, after: middle },
    ...Object.entries(of.options).map(([name, options]) => {
      return { name, options, groups: defaults, after: middle };
    }),
    {
      name: "lr_changed",
      groups: defaults,
      after: (step) => (step === 2 ? [lr(0, rate / 4)] : step === 5 ? [lr(0, rate * 2)] : []),
    },
    {
      name: "null_grads",
      groups: [{ shapes: three }],
      // One comes late, one is missing at times; in one step there is none at all.
      missing: (step, p) => step === 4 || (p === 1 && step < 3) || (p === 2 && step % 2 === 1),
    },
    {
      name: "two_groups",
      groups: [{ shapes: one }, { options: { lr: rate / 2 }, shapes: three }],
      after: (step) => (step === 3 ? [lr(1, rate)] : []),
    },
    {
      name: "gradients_of_many_magnitudes",
      groups: defaults,
      steps: magnitudes.length,
      scale: (step) => magnitudes[step],
    },
    { name: "larger", groups: [{ shapes: [[5, 7]] }], steps: 4 },
  ];
  if (!of.matrices) {
    const shapes = [[], [0], [1], [1, 2, 1], [0, 3]];
    common.push({ name: "shapes", groups: [{ shapes }], steps: 3 });
  }
  if (of.modes) {
    common.push(
      {
        name: "toggles",
        groups: defaults,
        after: (step) => (step % 2 ? [...toggle, ...toggle] : toggle),
      },
      {
        name: "step_outside_train_mode_is_an_error",
        groups: defaults,
        steps: 4,
        after: (step) => (step === 1 ? [{ op: "eval" }, refused, { op: "train" }] : []),
      },
    );
  }
  if (!of.closure && !isAdamC) {
    common.push({ name: "step_with_closure", groups: defaults, closure: true });
  }
  if (of.closure) return common.map((situation) => ({ ...situation, closure: true }));
  return common;
}

/** A step that has to be refused: its gradients are zeros, and are put in by `build`. */
const refused: OptimizerEvent = { op: "step", error: "not_in_train_mode" };

/** Every case, by the file it goes to. */
export function optimizerFiles(): Map<string, ((seed: number, dtype: FloatType) => CaseSpec)[]> {
  const torch = new Set(["SGD", "Adam", "AdamW", "RMSprop", "Adagrad", "RAdam"]);
  return new Map(
    classes.map((of) => [
      torch.has(of.class) ? `torch_${of.class}` : of.class,
      Object.entries(of.bases ?? { "": undefined }).flatMap(([wrapped, baseSpec], i) =>
        situations(of)
          // The first base sees everything, the others what concerns them.
          .filter(({ name }) => i === 0 || /defaults|decay|lr_changed|null|toggles/.test(name))
          .map((situation) => {
            const name = wrapped === "" ? situation.name : `${wrapped}_${situation.name}`;
            return (seed: number, dtype: FloatType) =>
              build(of, baseSpec, { ...situation, name }, seed, dtype);
          }),
      ),
    ]),
  );
}

export type CaseSpec = OptimizerRunSpec & { readonly events: readonly OptimizerEvent[] };

function build(
  of: OptimizerClass,
  baseSpec: BaseSpec | undefined,
  situation: Situation,
  seed: number,
  dtype: FloatType,
): CaseSpec {
  const { name, options, steps = 8, scale, missing, after, closure = false } = situation;
  const draw = new Draw(seed, `${of.class} ${name}`);
  const numbers = (size: number): number[] => draw.normal(size);
  const groups = situation.groups!.map((group) => ({
    options: group.options ?? {},
    params: group.shapes.map((shape) => ({ shape, data: numbers(sizeOf(shape)) })),
  }));
  const each = <T>(f: (size: number, parameter: number) => T): T[][] => {
    let parameter = 0;
    return groups.map(({ params }) => params.map(({ shape }) => f(sizeOf(shape), parameter++)));
  };
  const events: OptimizerEvent[] = of.modes ? [{ op: "train" }] : [];
  for (let step = 0; step < steps; step++) {
    const factor = scale?.(step) ?? 1;
    const told = of.class.startsWith("AdamC") ? { function_value: 2 - step / 8 } : {};
    if (closure) {
      const skip = missing && each((_, p) => missing(step, p));
      events.push({ op: "step", skip });
    } else {
      const grads = each((size, p) => {
        const list = numbers(size).map((value) => rounded(value * factor, dtype));
        return missing?.(step, p) ? null : list;
      });
      events.push({ op: "step", grads, ...told });
    }
    for (const event of after?.(step) ?? []) {
      const zeros =
        event.error === undefined ? {} : { grads: each((size) => numbers(size)), ...told };
      events.push({ ...event, ...zeros });
    }
  }
  const problem = closure
    ? { c: each((size) => draw.uniform(size, 0.25, 2)), t: each((size) => numbers(size)) }
    : undefined;
  return {
    name: `${name}/${dtype}`,
    class: of.class,
    dtype,
    options: { ...of.common, ...options },
    base: baseSpec,
    groups,
    problem,
    events,
  };
}

function sizeOf(shape: readonly number[]): number {
  return shape.reduce((n, extent) => n * extent, 1);
}
