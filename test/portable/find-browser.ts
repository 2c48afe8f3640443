/** The Chromium that tests run. */
import { existsSync } from "node:fs";
import path from "node:path";

const candidates = ["chromium", "chromium-browser", "google-chrome"];

/** Its path: $CHROMIUM, or the first on the search path. */
export function findBrowser(): string | undefined {
  const folders = (process.env.PATH ?? "").split(path.delimiter);
  const named = process.env.CHROMIUM === undefined ? [] : [process.env.CHROMIUM];
  const found = folders.flatMap((folder) => candidates.map((name) => path.join(folder, name)));
  return [...named, ...found].find((file) => existsSync(file));
}

export const noBrowser = "no Chromium found (set CHROMIUM to its path)";
