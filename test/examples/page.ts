/** Plays a visitor of the page that `npm run page` serves. */
import * as assert from "uvu/assert";
import { chromium, type Page } from "playwright-core";
import { findBrowser } from "../portable/find-browser.ts";
import { start } from "./start.ts";

/** Runs `visit` with the page's address; the server ends with Ctrl-C. */
export async function served(visit: (url: string) => Promise<void>): Promise<void> {
  const server = start("page", ["--port", "0"]);
  try {
    await server.printed("Ctrl-C");
    const [url] = /http:\S+/.exec(server.output())!;
    await visit(url);
  } finally {
    server.child.kill("SIGINT");
  }
  const { code, stderr } = await server.ended;
  assert.is(stderr, "");
  assert.is(code, 0);
}

export interface Visit {
  /** Of the ten digits, in %, what a drawn ring is taken for while training goes on. */
  readonly ring: readonly number[];
  /** At x, in % of the test images. */
  readonly accuracy: number;
  /** The safetensors file that the page gives. */
  readonly saved: string;
}

/** Trains the perceptron for so many steps, draws a ring meanwhile, stops, and saves. */
export async function visit(
  url: string,
  device: "cpu" | "webgpu",
  steps: number,
  use: (found: Visit) => void,
): Promise<void> {
  const gpu = device === "webgpu" ? "--enable-unsafe-webgpu" : "--disable-gpu";
  const browser = await chromium.launch({
    executablePath: findBrowser(),
    args: ["--no-sandbox", gpu],
  });
  try {
    const page = await browser.newPage({ viewport: { width: 800, height: 760 } });
    page.setDefaultTimeout(100_000);
    const errors: string[] = [];
    page.on("pageerror", ({ message }) => errors.push(message));
    page.on("console", (said) => said.type() === "error" && errors.push(said.text()));
    await page.goto(url);
    await page.waitForSelector("#start:enabled");
    await page.selectOption("#device", device);
    await page.click("#start");
    await drawRing(page);
    await page.waitForFunction((least) => {
      const text = document.querySelector("#status")!.textContent;
      if (document.querySelector("#status.error")) throw new Error(text);
      return Number(/^([\d,]+) steps/.exec(text)?.[1].replaceAll(",", "")) >= least;
    }, steps);
    await drawRing(page);
    await page.waitForFunction(() => document.querySelector("#digits .best") !== null);
    const ring = await page.$$eval("#digits i", (bars) =>
      bars.map((bar) => parseFloat((bar as HTMLElement).style.width)),
    );
    await page.click("#start"); // which stops it
    await page.waitForSelector("#save:enabled");
    const [download] = await Promise.all([page.waitForEvent("download"), page.click("#save")]);
    const accuracy = parseFloat((await page.textContent("#accuracy"))!);
    assert.equal(errors, []);
    use({ ring, accuracy, saved: await download.path() });
  } finally {
    await browser.close();
  }
}

async function drawRing(page: Page): Promise<void> {
  const { x, y, width, height } = (await page.locator("#pad").boundingBox())!;
  const at = (turn: number) =>
    [
      x + width * (0.5 + 0.22 * Math.sin(2 * Math.PI * turn)),
      y + height * (0.5 - 0.32 * Math.cos(2 * Math.PI * turn)),
    ] as const;
  await page.mouse.move(...at(0));
  await page.mouse.down();
  for (let k = 1; k <= 24; k++) await page.mouse.move(...at(k / 24));
  await page.mouse.up();
}
