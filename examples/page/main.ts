/** The page's controls, and what is shown of the training. */
import { backend, type DeviceName, init } from "roadless";
import { Chart } from "./chart.ts";
import { fetchMnist } from "./data.ts";
import { Pad } from "./pad.ts";
import { type ModelName, Training } from "./training.ts";

const element = <E extends Element = HTMLElement>(id: string): E =>
  document.querySelector<E>(`#${id}`)!;

const status = element("status");
const start = element<HTMLButtonElement>("start");
const save = element<HTMLButtonElement>("save");
const device = element<HTMLSelectElement>("device");
const model = element<HTMLSelectElement>("model");

const percent = (part: number): string => `${(100 * part).toFixed(1)} %`;
const count = (n: number): string => Math.round(n).toLocaleString("en-US");

/** Decades: 3 to 0.01, and errors of 100 % to 0.5 %. */
const charts = {
  loss: new Chart(element("loss-chart"), "loss", {
    height: (loss) => Math.log10(loss / 0.01) / Math.log10(3 / 0.01),
    ticks: [1, 0.1, 0.02].map((value) => [value, String(value)]),
  }),
  accuracy: new Chart(element("accuracy-chart"), "accuracy", {
    height: (accuracy) => Math.log10(1 - accuracy + 1e-9) / Math.log10(0.005),
    ticks: [0.9, 0.97, 0.99].map((value) => [value, `${100 * value} %`]),
  }),
};

let training: Training | undefined;
/** Ends the training that goes on. */
let running: AbortController | undefined;

function say(text: string, isError = false): void {
  status.textContent = text;
  status.classList.toggle("error", isError);
}

function describeDevice(): string {
  const { adapter, device: name, threads } = backend().capabilities();
  return adapter === undefined
    ? `${name}, ${threads} thread${threads === 1 ? "" : "s"}`
    : `${name}, ${adapter}`;
}

async function begin(): Promise<Training> {
  if (training !== undefined) {
    training.dispose();
    training = undefined;
    backend().close();
  }
  charts.loss.clear();
  charts.accuracy.clear();
  await init({ device: device.value as DeviceName });
  return (training = new Training(model.value as ModelName));
}

async function train(stop: AbortSignal): Promise<void> {
  const [trainSet, testSet] = await images;
  say("starting the device …");
  const current = await begin();
  const on = describeDevice();
  let shown = 0;
  let line = "";
  await current.run(trainSet, testSet, stop, {
    stepped(steps, loss, rate) {
      charts.loss.add(steps, loss);
      line = `${count(steps)} steps, ${count(rate)} images/s on ${on}`;
      if (performance.now() - shown < 100) return;
      shown = performance.now();
      element("loss").textContent = loss.toFixed(4);
      say(line);
    },
    tested(steps, accuracy, n) {
      charts.accuracy.add(steps, accuracy);
      element("accuracy").textContent = `${percent(accuracy)} of ${count(n)}`;
      void readPad();
    },
  });
  say(`${line}; stopped, and x is ready to use`);
}

element("controls").addEventListener("submit", (event) => {
  event.preventDefault();
  if (running !== undefined) {
    running.abort();
    return;
  }
  running = new AbortController();
  start.textContent = "stop";
  device.disabled = model.disabled = true;
  save.disabled = true;
  train(running.signal)
    .catch((error: unknown) => say(String(error), true))
    .finally(() => {
      running = undefined;
      start.textContent = "train";
      device.disabled = model.disabled = false;
      save.disabled = training === undefined;
    });
});

save.addEventListener("click", () => {
  training
    ?.save()
    .then((bytes) => {
      const url = URL.createObjectURL(new Blob([bytes as Uint8Array<ArrayBuffer>]));
      Object.assign(document.createElement("a"), {
        href: url,
        download: `mnist-${model.value}.safetensors`,
      }).click();
      URL.revokeObjectURL(url);
    })
    .catch((error: unknown) => say(String(error), true));
});

const rows = Array.from({ length: 10 }, (_, digit) => {
  const label = Object.assign(document.createElement("span"), { textContent: String(digit) });
  const bar = document.createElement("i");
  bar.style.width = "0";
  element("digits").append(label, bar);
  return { label, bar };
});

function showLikelihoods(likelihoods: readonly number[]): void {
  const best = likelihoods.indexOf(Math.max(...likelihoods));
  rows.forEach(({ label, bar }, digit) => {
    bar.style.width = `${100 * (likelihoods[digit] ?? 0)}%`;
    label.classList.toggle("best", digit === best);
  });
}

let reading = false;
let readAgain = false;

/** Classifies what is drawn; while it does, later drawings wait and only the last is classified. */
async function readPad(): Promise<void> {
  readAgain = true;
  if (reading) return;
  reading = true;
  try {
    while (readAgain) {
      readAgain = false;
      const image = pad.image();
      if (training === undefined || image === undefined) showLikelihoods([]);
      else showLikelihoods(await training.classify(image));
    }
  } catch (error) {
    say(String(error), true);
  } finally {
    reading = false;
  }
}

const pad = new Pad(element<HTMLCanvasElement>("pad"), () => void readPad());
element("clear").addEventListener("click", () => {
  pad.clear();
  void readPad();
});

const webgpu = navigator.gpu !== undefined;
for (const [value, label] of [...(webgpu ? [["webgpu", "GPU (WebGPU)"]] : []), ["cpu", "CPU"]]) {
  device.append(new Option(label, value));
}

const images = Promise.all([fetchMnist("train"), fetchMnist("t10k")]);
images
  .then(() => {
    say(webgpu ? "ready" : "ready; this browser has no WebGPU, or not for this page");
    start.disabled = false;
  })
  .catch((error: unknown) => say(String(error), true));
