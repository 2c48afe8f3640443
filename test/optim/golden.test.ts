import fs from "node:fs";
import { suite } from "uvu";
import * as assert from "uvu/assert";
import type { OptimizerCase } from "../../src/vectors/optimizer-record.ts";
import type { OptimFile } from "../golden/optim.ts";
import { playOptimCase } from "../golden/optim.ts";

const golden = suite("optim golden");

const folder = new URL("../golden/vectors/optim/", import.meta.url);
const classes = [
  "SGDScheduleFree",
  "SGDScheduleFreeReference",
  "SGDScheduleFreeClosure",
  "AdamWScheduleFree",
  "AdamWScheduleFreeReference",
  "AdamWScheduleFreeClosure",
  "AdamWScheduleFreePaper",
  "RAdamScheduleFree",
  "RAdamScheduleFreeClosure",
  "AdamCScheduleFreePlusPaper",
  "ScheduleFreeWrapper",
  "ScheduleFreeWrapperReference",
];
const torch = ["SGD", "Adam", "AdamW", "RMSprop", "Adagrad", "RAdam"].map(
  (name) => `torch_${name}`,
);
const devices = { float64: "reference", float32: "cpu" } as const;

interface File extends OptimFile {
  readonly constructor_checks?: readonly {
    readonly options: Readonly<Record<string, unknown>>;
    readonly raises: boolean;
  }[];
}

const read = (name: string) =>
  JSON.parse(fs.readFileSync(new URL(`${name}.json`, folder), "utf8")) as File;

/** A case of one parameter in which nothing happens. */
const nothing: OptimizerCase = {
  name: "nothing/float64",
  class: "",
  dtype: "float64",
  options: {},
  groups: [{ options: {}, params: [{ shape: [1], data: [1] }] }],
  events: [],
};

for (const name of [...classes, ...torch]) {
  const file = read(name);
  for (const dtype of ["float64", "float32"] as const) {
    const cases = file.cases.filter((one) => one.dtype === dtype);
    golden(`${name} follows PyTorch at every step of ${cases.length} ${dtype} cases`, async () => {
      const failures: string[] = [];
      for (const one of cases) {
        const result = await playOptimCase(one, devices[dtype]);
        if (result.status !== "passed") failures.push(`${one.name}: ${result.message}`);
      }
      assert.equal(failures, []);
      assert.ok(cases.length >= 10);
    });
  }
}

golden("constructors refuse what upstream's refuse, but for momentum 0 and 1", async () => {
  for (const name of classes) {
    for (const { options, raises } of read(name).constructor_checks ?? []) {
      if (!raises || options.momentum === 0 || options.momentum === 1) continue;
      const play: OptimizerCase = { ...nothing, class: name, options };
      const result = await playOptimCase(play, "reference");
      assert.is(result.status, "failed");
      assert.match(result.message ?? "", /ValueError: .*; expected a/);
    }
  }
});

golden("a class that does not exist is unsupported by name", async () => {
  const unknown: OptimizerCase = { ...nothing, class: "NoSuchOptimizer" };
  const result = await playOptimCase(unknown, "reference");
  assert.is(result.status, "unsupported");
  assert.match(result.message ?? "", "NoSuchOptimizer");
});

golden.run();
