/**
 * A program: `resume.ts OPTIMIZER DEVICE FILE STEPS` loads FILE into freshly built objects, trains STEPS more
 * batches, and prints what `fingerprint` gives.
 */
import type { DeviceName } from "../../src/index.ts";
import { loadCheckpoint, scope, withDevice } from "../../src/index.ts";
import { build, fingerprint, train } from "./training.ts";

const [name, device, file, steps] = process.argv.slice(2);

withDevice(device as DeviceName, () =>
  scope(() => {
    const run = build(name, 99);
    loadCheckpoint(file, run);
    train(run, Number(steps));
    process.stdout.write(fingerprint(run));
  }),
);
