/**
 * Scopes: a tensor lives until its scope ends.
 *
 * WASM and GPU memory has no garbage collector and finalizers do not run inside a synchronous loop,
 * so lifetimes are lexical. Four things open a scope: an iteration of a DataLoader, `noGrad(fn)`,
 * `optimizer.step(closure)`, and `scope(fn)` / `using s = scope()`. Scopes nest strictly.
 */
import { debug, log, warnOnce } from "./debug.ts";
import { LifetimeError } from "./errors.ts";

/** Something whose life a scope ends: tensors. */
export abstract class Scoped {
  /** The scope that will release this; null: none will. */
  scope: Scope | null = null;
  /** Counted among the temporaries that no scope will release. */
  stray = false;
  abstract dispose(): void;
}

let current: Scope | null = null;
let scopesOpened = 0;
let strays = 0;

/** Live temporaries outside every scope at which one warning is given. */
const STRAY_WARNING = 20_000;

// `using` needs the symbol; Node 20.0 to 20.8 has none of its own.
const disposeSymbol: typeof Symbol.dispose = Symbol.dispose ?? Symbol.for("Symbol.dispose");

export class Scope {
  private items: Scoped[] = [];
  private readonly parent: Scope | null;
  private readonly label: string;
  /** Scopes are numbered in the order they are opened. */
  readonly number: number;
  private ended = false;

  constructor(label: string) {
    this.label = label;
    this.number = ++scopesOpened;
    this.parent = current;
    current = this;
  }

  /** Puts an item under this scope's care. */
  adopt(item: Scoped): void {
    item.scope = this;
    this.items.push(item);
  }

  /** Moves an item of this scope to the surrounding one. Items of outer scopes stay where they are. */
  keep(item: Scoped): void {
    if (item.scope !== this) return;
    if (this.parent !== null) this.parent.adopt(item);
    else setStray(item);
  }

  /** Moves every tensor found in arrays and plain objects to the surrounding scope. */
  keepAll(value: unknown): void {
    if (value instanceof Scoped) this.keep(value);
    else if (typeof value === "object" && value !== null) keepIn(this, value, new Set());
  }

  /** Releases all items. Ending a scope twice does nothing. */
  end(): void {
    if (this.ended) return;
    if (current !== this) {
      throw new LifetimeError(
        `scope: ${this} cannot end while ${current ?? "no scope"} is the innermost one; ` +
          "scopes nest strictly: end inner scopes first, and do not let two async functions hold scopes at the same time",
      );
    }
    this.release();
  }

  /** Ends this scope and, after an exception, whatever was opened inside it. */
  unwind(): void {
    if (this.ended) return;
    while (current !== null && current !== this) current.release();
    this.release();
  }

  private release(): void {
    this.ended = true;
    current = this.parent;
    const released = this.clear();
    if (released > 0 && debug.level >= 3) log(3, `${this} ended: ${released} tensors released`);
  }

  /** Releases all items and says how many; the scope goes on. */
  clear(): number {
    const items = this.items;
    if (items.length === 0) return 0;
    let released = 0;
    for (let i = 0; i < items.length; i++) {
      if (items[i].scope === this) {
        items[i].dispose();
        released++;
      }
    }
    this.items = []; // setting the length costs more than a whole scope
    return released;
  }

  toString(): string {
    return `${this.label} scope #${this.number}`;
  }

  [disposeSymbol](): void {
    this.end();
  }
}

function keepIn(scope: Scope, value: unknown, seen: Set<object>): void {
  if (typeof value !== "object" || value === null) return;
  if (value instanceof Scoped) {
    scope.keep(value);
    return;
  }
  if (seen.has(value)) return;
  seen.add(value);
  if (Array.isArray(value)) {
    for (const item of value) keepIn(scope, item, seen);
    return;
  }
  const prototype: unknown = Object.getPrototypeOf(value);
  if (prototype === Object.prototype || prototype === null) {
    for (const item of Object.values(value)) keepIn(scope, item, seen);
  }
}

/** Registers a new item with the innermost scope. */
export function enterScope(item: Scoped): void {
  if (current !== null) current.adopt(item);
  else setStray(item);
}

/** Takes an item away from whatever scope has it: parameters, gradients, optimizer state. */
export function leaveScope(item: Scoped): void {
  item.scope = null;
  if (!item.stray) return;
  item.stray = false;
  strays--;
}

/** The innermost scope; null outside every scope. */
export function currentScope(): Scope | null {
  return current;
}

function setStray(item: Scoped): void {
  item.scope = null;
  item.stray = true;
  if (++strays === STRAY_WARNING) {
    warnOnce(
      `${STRAY_WARNING} tensors made outside every scope are alive, and nothing will release them. ` +
        "Loop over a DataLoader, or put the loop's body into scope(() => { ... }), or dispose() them.",
    );
  }
}

export function openScope(label: string): Scope {
  return new Scope(label);
}

/**
 * Runs `fn` in a scope: what `fn` returns (a tensor, or arrays and plain objects of them) lives on
 * in the surrounding scope, all else made inside is released. Without `fn`, opens a scope that
 * `using s = scope()` or `s.end()` ends.
 */
export function scope(): Scope;
export function scope<T>(fn: () => T): T;
export function scope<T>(fn?: () => T): T | Scope {
  return fn === undefined ? openScope("scope") : runScoped("scope", fn);
}

/** What `scope(fn)` does, under another name in messages. */
export function runScoped<T>(label: string, fn: () => T): T {
  const opened = openScope(label);
  let completed = false;
  try {
    const result = fn();
    if (result instanceof Promise) {
      throw new LifetimeError(
        `${label}: the function returned a promise; scopes are synchronous. ` +
          "Await outside, or open the scope by hand: const s = scope(); try { ... } finally { s.end(); }",
      );
    }
    opened.keepAll(result);
    completed = true;
    return result;
  } finally {
    if (completed) opened.end();
    else opened.unwind();
  }
}

/** Keeps a tensor alive beyond the innermost scope, in the surrounding one. Returns it. */
export function keep<T extends Scoped>(item: T): T {
  current?.keep(item);
  return item;
}
