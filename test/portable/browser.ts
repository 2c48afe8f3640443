/**
 * Runs suites in headless Chromium, in a cross-origin isolated page: `node --import tsx
 * test/portable/browser.ts [--webgpu]`, with --webgpu those of that device, on SwiftShader. Without Chromium it says
 * so and stops; in CI (CI=true) that is a failure.
 */
import { spawn } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import os from "node:os";
import path from "node:path";
import { findBrowser, noBrowser } from "./find-browser.ts";
import type { Outcome } from "./report.ts";
import { bundleSuites, show } from "./report.ts";

const timeoutSeconds = 400;
const webgpu = process.argv[2] === "--webgpu";

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
  child.stderr.on("data", (text: Buffer) => {
    said = (said + text.toString()).slice(-4000);
  });
  child.on("exit", (code) => finish({ broken: `the browser ended with code ${code}\n${said}` }));
  const timer = setTimeout(
    () => finish({ broken: `no report after ${timeoutSeconds} s\n${said}` }),
    timeoutSeconds * 1000,
  );
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
  const report = await play(browser, await bundleSuites(webgpu ? "webgpu" : "suites"));
  if (!webgpu && !("broken" in report) && !report.isolated) {
    report.failures.push("the page is not isolated, so threads were not tested");
  }
  return show("Chromium", report);
}

process.exitCode = await main();
