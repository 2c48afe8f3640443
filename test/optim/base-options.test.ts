import fs from "node:fs";
import { suite } from "uvu";
import * as assert from "uvu/assert";
import type { Tensor } from "../../src/index.ts";
import * as roadless from "../../src/index.ts";
import { optim, ShapeError, ValueError } from "../../src/index.ts";
import { camelKeys } from "../../src/vectors/optimizers.ts";
import type { Options } from "./base-helpers.ts";
import { construct, make, parameters, setGrads, stateOf, table } from "./base-helpers.ts";
import { assertClose, assertThrows, numbers, parameter, setGrad } from "./helpers.ts";

const settings = suite("base optimizers' options and states");

settings("defaults are PyTorch's", () => {
  for (const name of ["SGD", "Adam", "AdamW", "RMSprop", "Adagrad", "RAdam"]) {
    const file = new URL(`../golden/vectors/optim/torch_${name}.json`, import.meta.url);
    const { class_defaults } = JSON.parse(fs.readFileSync(file, "utf8")) as {
      class_defaults: Options;
    };
    roadless.scope(() => {
      const optimizer = make(name, [parameter([1])], {});
      const { params: _params, ...options } = optimizer.paramGroups[0];
      assert.equal(options, camelKeys(class_defaults), name);
      optimizer.dispose();
    });
  }
});

settings("defaults of those that the golden vectors have not", () => {
  roadless.scope(() => {
    const options = (name: string): Options => {
      const optimizer = make(name, [parameter([1], "reference", [1, 1])], {});
      const { params: _params, ...rest } = optimizer.paramGroups[0];
      optimizer.dispose();
      return rest;
    };
    const unused = { foreach: null, capturable: false, differentiable: false, fused: null };
    assert.equal(options("Lion"), {
      lr: 1e-4,
      betas: [0.9, 0.99],
      weightDecay: 0,
      maximize: false,
      ...unused,
    });
    assert.equal(options("Adafactor"), {
      lr: 0.01,
      beta2Decay: -0.8,
      eps: [null, 1e-3],
      d: 1,
      weightDecay: 0,
      foreach: null,
      maximize: false,
    });
    assert.equal(options("Muon"), {
      lr: 1e-3,
      weightDecay: 0.1,
      momentum: 0.95,
      nesterov: true,
      nsCoefficients: [3.4445, -4.775, 2.0315],
      eps: 1e-7,
      nsSteps: 5,
      adjustLrFn: null,
      useAddmm: false,
    });
  });
});

settings("saved states have PyTorch's keys", () => {
  const keys: [name: string, options: Options, keys: string][] = [
    ["SGD", {}, ""],
    ["SGD", { momentum: 0.9 }, "momentum_buffer"],
    ["Adam", {}, "exp_avg exp_avg_sq step"],
    ["Adam", { amsgrad: true }, "exp_avg exp_avg_sq max_exp_avg_sq step"],
    ["AdamW", { amsgrad: true }, "exp_avg exp_avg_sq max_exp_avg_sq step"],
    ["RMSprop", {}, "square_avg step"],
    ["RMSprop", { momentum: 0.9 }, "momentum_buffer square_avg step"],
    ["RMSprop", { centered: true }, "grad_avg square_avg step"],
    ["Adagrad", {}, "step sum"],
    ["RAdam", {}, "exp_avg exp_avg_sq step"],
    ["Lion", {}, "exp_avg"],
    ["Adafactor", {}, "col_var row_var step"],
    ["Muon", {}, "momentum_buffer"],
  ];
  for (const [name, options, expected] of keys) {
    roadless.scope(() => {
      const params = parameters();
      const optimizer = make(name, params, options);
      const early = optimizer.stateDict().state;
      assert.is(Object.keys(early).length, name === "Adagrad" ? 3 : 0);
      setGrads(params, 0);
      optimizer.step();
      const state = Object.keys(stateOf(optimizer)[0] ?? {});
      assert.is(state.sort().join(" "), expected, name);
      optimizer.dispose();
    });
  }
});

settings("there are no modes", () => {
  for (const [name] of table) {
    const { prototype } = construct(name);
    assert.not("train" in prototype || "eval" in prototype, name);
  }
});

const refused: [name: string, options: Options, message: string][] = [
  ["SGD", { lr: -1 }, "lr is -1; expected a finite number ≥ 0"],
  ["SGD", { momentum: -0.1 }, "momentum is -0.1; expected a finite number ≥ 0"],
  ["SGD", { dampening: Infinity }, "dampening is Infinity; expected a finite number"],
  ["SGD", { fused: 1 }, "fused is 1; expected true, false or null"],
  [
    "SGD",
    { nesterov: true },
    "nesterov with momentum 0 and dampening 0; expected momentum > 0 and dampening 0",
  ],
  [
    "SGD",
    { nesterov: true, momentum: 0.9, dampening: 0.5 },
    "nesterov with momentum 0.9 and dampening 0.5; expected momentum > 0 and dampening 0",
  ],
  ["Adam", { betas: [1, 0.9] }, "betas is [1, 0.9]; expected [β₁, β₂] with 0 ≤ β < 1"],
  ["AdamW", { betas: [0.9] }, "betas is [0.9]; expected [β₁, β₂] with 0 ≤ β < 1"],
  ["AdamW", { eps: -1 }, "eps is -1; expected a finite number ≥ 0"],
  ["RAdam", { weightDecay: -1 }, "weightDecay is -1; expected a finite number ≥ 0"],
  ["RMSprop", { alpha: -0.5 }, "alpha is -0.5; expected a number from 0 to 1"],
  ["RMSprop", { centered: 1 }, "centered is 1; expected true or false"],
  ["Adagrad", { lrDecay: -1 }, "lrDecay is -1; expected a finite number ≥ 0"],
  [
    "Adagrad",
    { initialAccumulatorValue: -1 },
    "initialAccumulatorValue is -1; expected a finite number ≥ 0",
  ],
  [
    "Lion",
    { eps: 1e-8 },
    'unknown option "eps"; expected lr, betas, weightDecay, maximize, foreach, capturable, ' +
      "differentiable, fused",
  ],
  ["Adafactor", { beta2Decay: 0.8 }, "beta2Decay is 0.8; expected a finite number ≤ 0"],
  [
    "Adafactor",
    { eps: [null, null] },
    "eps is [null, null]; expected [ε₁, ε₂], finite numbers ≥ 0 (ε₁ may be null)",
  ],
  ["Adafactor", { d: 0.5 }, "d is 0.5; expected a finite number ≥ 1"],
  ["Muon", { nsSteps: 100 }, "nsSteps is 100; expected an integer from 0 to 99"],
  ["Muon", { nsCoefficients: [1, 2] }, "nsCoefficients is [1, 2]; expected three finite numbers"],
  [
    "Muon",
    { adjustLrFn: "x" },
    'adjustLrFn is "x"; expected "original", "match_rms_adamw" or null',
  ],
];

for (const [name, options, message] of refused) {
  settings(`${name} refuses: ${message}`, () => {
    roadless.scope(() => {
      const params = [parameter([1], "reference", [1, 1])];
      assertThrows(() => make(name, params, options), ValueError, `${name}: ${message}`);
      const groups = [{ params, ...options }];
      assertThrows(() => make(name, groups, {}), ValueError, `${name}: ${message}`);
      const optimizer = make(name, params, {});
      if (message.startsWith("unknown")) return optimizer.dispose();
      Object.assign(optimizer.paramGroups[0], options);
      setGrad(params[0], [1]);
      assertThrows(() => optimizer.step(), ValueError, `${name}.step: ${message}`);
      assert.equal(numbers(params[0]), [1]);
      optimizer.dispose();
    });
  });
}

settings("Muon refuses what is no matrix", () => {
  roadless.scope(() => {
    const message =
      "Muon: parameter 1 has the shape [2]; expected matrices; give other parameters to another optimizer";
    const params = [parameter([1], "reference", [1, 1]), parameter([1, 2])];
    assertThrows(() => new optim.Muon(params), ValueError, message);
  });
});

settings("saved states that do not fit are refused, and change nothing", () => {
  roadless.scope(() => {
    const params = [parameter([1, 2], "reference", [2, 1])];
    const load = (name: string, state: Record<string, number[] | Tensor>): void => {
      const optimizer = make(name, params, {});
      setGrad(params[0], [1, 1]);
      optimizer.step();
      const before = stateOf(optimizer);
      try {
        const groups = optimizer.stateDict().param_groups;
        optimizer.loadStateDict({ state: { 0: state }, param_groups: groups });
      } finally {
        assert.equal(stateOf(optimizer), before);
        optimizer.dispose();
      }
    };
    const moments = { exp_avg: [1, 2], exp_avg_sq: [1, 2] };
    const where = (name: string): string => `${name}.loadStateDict: state 0`;
    assertThrows(
      () => load("Adam", moments),
      ValueError,
      `${where("Adam")} has no "step" (it has exp_avg, exp_avg_sq); was it saved by another optimizer?`,
    );
    assertThrows(
      () => load("Adam", { ...moments, step: [1.5] }),
      ValueError,
      `${where("Adam")}: step is 1.5; expected one integer ≥ 0`,
    );
    assertThrows(
      () => load("Adafactor", { step: [1], row_var: [1, 2], col_var: [1, 2] }),
      ShapeError,
      /col_var has 2 elements; expected 1/,
    );
    const wrong = roadless.zeros([2], { device: "reference" });
    assertThrows(
      () => load("Adafactor", { step: [1], row_var: wrong, col_var: [1] }),
      ShapeError,
      `${where("Adafactor")}: row_var has the shape [2]; expected [2, 1], as its parameter has`,
    );
  });
});

settings("states of PyTorch load: numbers for step, null for a missing buffer", () => {
  roadless.scope(() => {
    const p = parameter([1]);
    const adam = new optim.Adam([p], { lr: 0.1, eps: 0 });
    const state = { 0: { step: [9], exp_avg: [0], exp_avg_sq: [0] } };
    adam.loadStateDict({ state, param_groups: [{ params: [0], lr: 0.1, fused: null }] });
    setGrad(p, [2]);
    adam.step();
    const expected = (0.1 * 2) / (1 - 0.9 ** 10) / Math.sqrt((0.001 * 4) / (1 - 0.999 ** 10));
    assertClose(numbers(p), [1 - 0.1 * expected], 1e-12, "step 10");
    adam.dispose();
    const sgd = new optim.SGD([p], { momentum: 0.9, lr: 1 });
    p.copyFrom([1]);
    const none = { momentum_buffer: null } as unknown as Record<string, number[]>;
    sgd.loadStateDict({ state: { 0: none }, param_groups: [{ params: [0] }] });
    sgd.step();
    assert.equal(numbers(p), [-1]);
    sgd.dispose();
  });
});

settings.run();
