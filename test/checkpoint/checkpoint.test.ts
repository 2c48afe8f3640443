import { spawnSync } from "node:child_process";
import fs from "node:fs";
import os from "node:os";
import path from "node:path";
import { fileURLToPath } from "node:url";
import { suite } from "uvu";
import * as assert from "uvu/assert";
import type { DeviceName } from "../../src/index.ts";
import * as roadless from "../../src/index.ts";
import {
  encodeCheckpoint,
  loadCheckpoint,
  loadSafetensors,
  manualSeed,
  nn,
  optim,
  restoreCheckpoint,
  saveCheckpoint,
  ShapeError,
  ValueError,
} from "../../src/index.ts";
import { assertThrows, devices } from "../optim/helpers.ts";
import type { Run } from "./training.ts";
import { build, fingerprint, optimizers, train } from "./training.ts";

const checkpoint = suite("checkpoint");

let folder = "";
checkpoint.before(() => {
  folder = fs.mkdtempSync(path.join(os.tmpdir(), "roadless-checkpoint-"));
});
checkpoint.after(() => fs.rmSync(folder, { recursive: true, force: true }));

/** Runs `fn` on a device with a run of its own. */
function withRun(name: string, device: DeviceName, fn: (run: Run) => void, seed = 1): void {
  roadless.withDevice(device, () =>
    roadless.scope(() => {
      const run = build(name, seed);
      fn(run);
      run.optimizer.dispose();
      run.model.dispose();
    }),
  );
}

for (const device of devices) {
  for (const name of Object.keys(optimizers)) {
    for (const mode of ["train", "eval"] as const) {
      checkpoint(`${name} goes on to the bit from ${mode} mode (${device})`, () => {
        const file = path.join(folder, "run.safetensors");
        let expected = "";
        withRun(name, device, (run) => {
          train(run, 8);
          if (mode === "eval") run.optimizer.eval?.();
          saveCheckpoint(file, run);
          train(run, 7);
          expected = fingerprint(run);
        });
        // Fresh objects; then some that have been used, and are in the other mode.
        withRun(
          name,
          device,
          (run) => {
            loadCheckpoint(file, run);
            train(run, 7);
            assert.is(fingerprint(run), expected);
            run.optimizer.eval?.();
            loadCheckpoint(file, run);
            train(run, 7);
            assert.is(fingerprint(run), expected);
          },
          2,
        );
      });
    }
  }
}

for (const mode of ["train", "eval"] as const) {
  checkpoint(`another process goes on to the bit from ${mode} mode`, () => {
    const file = path.join(folder, "process.safetensors");
    withRun("AdamWScheduleFree", "cpu", (run) => {
      train(run, 8);
      if (mode === "eval") run.optimizer.eval?.();
      saveCheckpoint(file, run);
      train(run, 7);
      const script = fileURLToPath(new URL("resume.ts", import.meta.url));
      const { stdout, stderr } = spawnSync(
        process.execPath,
        ["--import", "tsx", script, "AdamWScheduleFree", "cpu", file, "7"],
        { encoding: "utf8" },
      );
      assert.is(stderr, "");
      assert.is(stdout, fingerprint(run));
    });
  });
}

checkpoint("weights in the file are x in either mode, and saving changes nothing", () => {
  const file = path.join(folder, "x.safetensors");
  withRun("AdamWScheduleFree", "cpu", (run) => {
    train(run, 5);
    const before = fingerprint(run);
    const y = run.model.first.weight.dataSync(); // stateDict() would warn that this is y
    saveCheckpoint(file, { ...run, metadata: { task: "sine" } });
    const atY = loadSafetensors(file);
    run.optimizer.eval?.();
    const x = run.model.stateDict();
    saveCheckpoint(file, run);
    const atX = loadSafetensors(file);
    for (const [name, { data }] of Object.entries(x)) {
      assert.equal(atY.tensors.get(name)?.data, data);
      assert.equal(atX.tensors.get(name)?.data, data);
    }
    assert.equal(atY.tensors.get("optimizer.held.first.weight")?.data, y);
    assert.not(atX.tensors.has("optimizer.held.first.weight"));
    assert.ok(atX.tensors.has("optimizer.state.first.weight.z"));
    assert.is(atY.metadata.task, "sine");
    run.optimizer.train?.();
    assert.is(fingerprint(run), before);
  });
});

checkpoint("parts that are not asked for stay as they are", () => {
  withRun("SGDScheduleFree", "cpu", (run) => {
    train(run, 5);
    const bytes = encodeCheckpoint({ ...run, metadata: { a: "b" } });
    const x = run.optimizer.withEval!(() => run.model.stateDict());
    manualSeed(5);
    const other = build("SGDScheduleFree", 7);
    const seed = roadless.defaultGenerator().getState();
    const { metadata } = restoreCheckpoint(bytes, { model: other.model, generator: null });
    assert.equal(metadata, { a: "b" });
    assert.equal(other.model.stateDict(), x);
    assert.equal(roadless.defaultGenerator().getState(), seed);
    const mine = new roadless.Generator(3);
    restoreCheckpoint(bytes, { model: other.model, generator: mine });
    assert.equal(
      mine.getState(),
      (JSON.parse(headerOf(bytes)) as { generator: unknown }).generator,
    );
    other.optimizer.dispose();
    other.model.dispose();
  });
});

const headerOf = (bytes: Uint8Array): string => roadless.decodeSafetensors(bytes).metadata.roadless;

interface Header {
  format: string;
  optimizer?: { class: string; groups: string[][]; dict: { param_groups: { lr: number }[] } };
  generator?: { call: number };
  loader?: { batchSize: number };
}

/** The checkpoint with another header, or with other tensors. */
function edited(
  bytes: Uint8Array,
  edit: (content: roadless.SafetensorsContent, header: Header) => void,
): Uint8Array {
  const content = roadless.decodeSafetensors(bytes);
  const header = JSON.parse(content.metadata.roadless) as Header;
  edit(content, header);
  return roadless.encodeSafetensors(content.tensors, {
    ...content.metadata,
    roadless: JSON.stringify(header),
  });
}

const zeros = (shape: number[]) => ({
  data: new Float32Array(shape.reduce((n, extent) => n * extent, 1)),
  shape,
  dtype: "F32" as const,
});

const refused: {
  what: string;
  edit: Parameters<typeof edited>[1];
  type?: typeof ValueError | typeof ShapeError;
  message: string | RegExp;
}[] = [
  {
    what: "a tensor that is missing",
    edit: ({ tensors }) => tensors.delete("last.weight"),
    message: "has no last.weight; expected float32 [1, 6]",
  },
  {
    what: "a tensor of another shape",
    edit: ({ tensors }) => tensors.set("last.weight", zeros([6, 1])),
    type: ShapeError,
    message: "last.weight is F32 [6, 1]; expected F32 [1, 6]",
  },
  {
    what: "a tensor of another type",
    edit: ({ tensors }) =>
      tensors.set("scale", { data: new Int32Array(1), shape: [1], dtype: "I32" }),
    message: "scale is I32 [1]; expected F32 [1]",
  },
  {
    what: "a tensor that the model has not",
    edit: ({ tensors }) => tensors.set("extra", zeros([1])),
    message: "has extra, which the model has not; expected exactly its parameters and buffers",
  },
  {
    what: "state that is missing",
    edit: ({ tensors }) => tensors.delete("optimizer.state.last.weight.z"),
    message: "has no optimizer.state.last.weight.z, which its header names; the file is damaged",
  },
  {
    what: "held values of another shape",
    edit: ({ tensors }) => tensors.set("optimizer.held.last.bias", zeros([2])),
    type: ShapeError,
    message: "optimizer.held.last.bias is F32 [2]; expected F32 [1]",
  },
  {
    what: "another class",
    edit: (_content, header) => (header.optimizer!.class = "SGDScheduleFree"),
    message: "was saved by SGDScheduleFree; expected AdamWScheduleFree",
  },
  {
    what: "a file without an optimizer",
    edit: (_content, header) => delete header.optimizer,
    message: "has no optimizer; leave it out, or take a checkpoint that was saved with one",
  },
  {
    what: "parameters in another order",
    edit: (_content, header) => header.optimizer!.groups[1].unshift("last.bias"),
    message:
      "parameter 0 of the optimizer's group 1 is last.bias; expected last.weight, as this optimizer has",
  },
  {
    what: "a group less",
    edit: (_content, header) => header.optimizer!.groups.pop(),
    message:
      "parameter 0 of the optimizer's group 1 is missing; expected last.weight, as this optimizer has",
  },
  {
    what: "an option out of its domain",
    edit: (_content, header) => (header.optimizer!.dict.param_groups[1].lr = -1),
    message: "AdamWScheduleFree.loadStateDict: group 1: lr is -1; expected a finite number ≥ 0",
  },
  {
    what: "a generator out of its domain",
    edit: (_content, header) => (header.generator!.call = -1),
    message: /^Generator.setState: call is -1/,
  },
  {
    what: "a data position of other batches",
    edit: (_content, header) => (header.loader!.batchSize = 5),
    message: /^DataLoader.loadState: batchSize is 5 in the state and 4 in this loader/,
  },
  {
    what: "no data position",
    edit: (_content, header) => delete header.loader,
    message:
      "has no data position; leave the loader out, or take a checkpoint that was saved with one",
  },
  {
    what: "a header of other things",
    edit: (_content, header) => (header.optimizer!.groups = "two" as never),
    message: /^loadCheckpoint: the data: its header is damaged; expected a file that/,
  },
  {
    what: "another format",
    edit: (_content, header) => (header.format = "checkpoint/9"),
    message: /^loadCheckpoint: the data: its format is "checkpoint\/9"; expected a file that/,
  },
];

const weightsOf = ({ model }: Run) => model.namedTensors().map(([, x]) => x.toArray());

for (const { what, edit, type = ValueError, message } of refused) {
  checkpoint(`${what} is refused by name, and nothing changes`, () => {
    for (const inEval of [false, true]) {
      withRun("AdamWScheduleFree", "cpu", (run) => {
        train(run, 5);
        const bytes = edited(encodeCheckpoint(run), edit);
        train(run, 3);
        const y = weightsOf(run);
        if (inEval) run.optimizer.eval?.();
        const before = encodeCheckpoint(run);
        const text =
          typeof message === "string" && !message.startsWith("AdamW")
            ? `loadCheckpoint: the data: ${message}`
            : message;
        assertThrows(() => restoreCheckpoint(bytes, run), type, text);
        assert.equal(encodeCheckpoint(run), before);
        run.optimizer.train?.();
        assert.equal(weightsOf(run), y);
      });
    }
  });
}

checkpoint(
  "averages and schedulers are saved beside, and put back when something else fails",
  () => {
    withRun("AdamWScheduleFree", "cpu", (run) => {
      const ema = new optim.EMA(run.optimizer, { decay: 0.9 });
      const groups = run.optimizer as optim.AdamWScheduleFree;
      const scheduler = new optim.StepLR(groups, { stepSize: 2, gamma: 0.5 });
      const extra = { ema, scheduler };
      const advance = (n: number) => {
        for (let i = 0; i < n; i++) {
          train(run, 1);
          scheduler.step();
          ema.update();
        }
      };
      const state = () =>
        JSON.stringify([
          ema.values().map((x) => x.toArray()),
          scheduler.stateDict(),
          groups.paramGroups[0].lr,
        ]);
      advance(5);
      const bytes = encodeCheckpoint({ ...run, extra });
      advance(4);
      const expected = state();
      restoreCheckpoint(bytes, { ...run, extra });
      assert.not.equal(state(), expected);
      advance(4);
      assert.is(state(), expected);
      const damaged = edited(
        bytes,
        (_content, header) => (header.optimizer!.dict.param_groups[1].lr = -1),
      );
      assertThrows(() => restoreCheckpoint(damaged, { ...run, extra }), ValueError, /lr is -1/);
      assert.is(state(), expected);
      assertThrows(
        () => restoreCheckpoint(bytes, { ...run, extra: { swa: ema } }),
        ValueError,
        /^loadCheckpoint: the data: has no state of extra "swa"; leave it out/,
      );
      ema.dispose();
    });
  },
);

checkpoint("a file that cannot be written leaves the old one", () => {
  const file = path.join(folder, "kept.safetensors");
  withRun("SGDScheduleFree", "cpu", (run) => {
    saveCheckpoint(file, run);
    const before = fs.readFileSync(file);
    const below = path.join(file, "below");
    assertThrows(
      () => saveCheckpoint(below, run),
      roadless.BackendError,
      /^saveCheckpoint: cannot write .*below: /,
    );
    assertThrows(
      () => loadCheckpoint(path.join(folder, "none"), run),
      roadless.BackendError,
      /^loadCheckpoint: cannot read .*none: /,
    );
    assert.equal(fs.readFileSync(file), before);
    assert.equal(
      fs.readdirSync(folder).filter((name) => name.endsWith(".tmp")),
      [],
    );
  });
});

checkpoint("weights alone are no checkpoint", () => {
  withRun("SGDScheduleFree", "cpu", ({ model }) => {
    const bytes = roadless.encodeSafetensors(model.stateDict());
    assertThrows(
      () => restoreCheckpoint(bytes, { model }),
      ValueError,
      "loadCheckpoint: the data: is no checkpoint; expected a file that saveCheckpoint wrote (weights alone: loadSafetensors)",
    );
  });
});

checkpoint("an optimizer of another model and names that clash are refused", () => {
  withRun("SGDScheduleFree", "cpu", (run) => {
    const other = new nn.Linear(2, 2);
    assertThrows(
      () => encodeCheckpoint({ ...run, model: other }),
      ValueError,
      /^saveCheckpoint: parameter 0 of the optimizer's group 0 \(.* float32 \[6, 3\]\) is not one of the model's/,
    );
    assertThrows(
      () => encodeCheckpoint({ ...run, metadata: { roadless: "" } }),
      ValueError,
      'saveCheckpoint: the metadata key "roadless" is taken; use another',
    );
    other.dispose();
  });
});

checkpoint("frozen and shared parameters, and those without gradient, are saved", () => {
  roadless.scope(() => {
    class Tied extends nn.Module {
      one = new nn.Linear(2, 2);
      two = this.one;
      frozen = new nn.Linear(2, 2).requiresGrad(false);
      forward(x: roadless.Tensor): roadless.Tensor {
        return this.two.forward(this.frozen.forward(this.one.forward(x)));
      }
    }
    const model = new Tied();
    const optimizer = new optim.AdamWScheduleFree(model.one.parameters());
    const bytes = encodeCheckpoint({ model, optimizer });
    const { tensors } = roadless.decodeSafetensors(bytes);
    assert.equal([...tensors.keys()].toSorted(), [
      "frozen.bias",
      "frozen.weight",
      "one.bias",
      "one.weight",
      "two.bias",
      "two.weight",
    ]);
    const before = model.stateDict();
    model.one.weight.copyFrom([1, 2, 3, 4]);
    model.frozen.bias!.copyFrom([5, 6]);
    restoreCheckpoint(bytes, { model, optimizer });
    assert.equal(model.stateDict(), before);
    optimizer.dispose();
    model.dispose();
  });
});

checkpoint.run();
