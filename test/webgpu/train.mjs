// A small convolutional network on device "webgpu", from the built library: what hosts other than Node run, as
// `deno run --allow-env --unstable-webgpu test/webgpu/train.mjs`. The exit code is 1 if it does not learn.
import * as rl from "../../dist/index.js";

await rl.init({ device: "webgpu" });
rl.manualSeed(1);
const x = rl.randn([8, 1, 8, 8]);
const labels = rl.tensor(Int32Array.from({ length: 8 }, (_, i) => i % 3));
const model = new rl.nn.Sequential(
  new rl.nn.Conv2d(1, 4, 3),
  new rl.nn.ReLU(),
  new rl.nn.MaxPool2d(2),
  new rl.nn.Flatten(),
  new rl.nn.Linear(36, 3),
);
const optimizer = new rl.optim.AdamWScheduleFree(model.parameters(), { lr: 0.02 });
optimizer.train();

/** The loss before the step. */
async function step() {
  const open = rl.scope();
  optimizer.zeroGrad();
  const loss = rl.crossEntropy(model.forward(x), labels);
  loss.backward();
  optimizer.step();
  const value = await loss.item();
  open.end();
  return value;
}

const first = await step();
let last = first;
for (let i = 0; i < 30; i++) last = await step();
const { adapter } = rl.backend().capabilities();
console.log(`webgpu on ${adapter}: loss ${first.toFixed(4)} → ${last.toFixed(4)}`);
rl.backend().close();
if (!(last < 0.3 * first)) throw new Error("the network does not learn");
