/**
 * Hands out 64-byte aligned blocks of a linear memory that can only grow.
 *
 *     start                                              end (= byteLength)
 *     ┌──────┬───────────┬──────┬────────────┬──────────────┐
 *     │ used │   free    │ used │    used    │     free     │   blocks, in address order,
 *     └──────┴───────────┴──────┴────────────┴──────────────┘   without gaps
 *
 * Two-level segregated fit (Masmano et al. 2004): free blocks hang in lists by size, 16 lists per
 * power of two, and bitmaps say which lists hold something. A request looks at the first few blocks
 * of its own list, where the block of the same size that was freed last step lies, then takes the
 * head of the next list that is not empty: a constant number of steps. What is left over is split
 * off; a freed block merges with free neighbours at once, so two free blocks never touch.
 *
 * In front of that, freed blocks of up to 64 KiB are kept as they are, in one stack per size: the
 * next step asks for the same sizes again. They merge when they add up to more than 1 MiB and an
 * eighth of the memory, or when a request finds no room.
 *
 * All bookkeeping is in JavaScript (nothing is written into the memory), counted in granules of 64
 * bytes: 4 GiB are 2^26 of them, which engines keep as small integers.
 */
import type { Buffer } from "../backend.ts";
import { BackendError, OutOfMemoryError, ValueError } from "../../errors.ts";

/** The memory below: `grow` adds at least `bytes` (a multiple of `pageBytes`) or changes nothing. */
export interface MemorySource {
  grow(bytes: number): boolean;
  readonly byteLength: number;
}

export interface MemoryStats {
  /** Bytes of blocks in use, each rounded up to 64. */
  readonly live: number;
  /** The largest `live` so far. */
  readonly peak: number;
  /** Size of the whole memory. */
  readonly reserved: number;
}

const granule = 64;
const pageBytes = 65536;
const smallestGrowth = 1 << 20;
/** How many blocks of its own list a request looks at: they may be smaller than it. */
const scanLimit = 8;
const rows = 24;
/** In granules. */
const largestKept = 1024;
const mayKeep = (1 << 20) / granule;

/** A stretch of memory, used or free. `start` and `size` count granules. */
class Block {
  start: number;
  size: number;
  free = false;
  /** Neighbours in address order. */
  before: Block | null = null;
  after: Block | null = null;
  /** Neighbours in the free list; `next` also chains kept blocks and spare objects. */
  previous: Block | null = null;
  next: Block | null = null;

  constructor(start: number, size: number) {
    this.start = start;
    this.size = size;
  }
}

/** What `alloc` returns. `ptr` is a byte address, 0 once freed. */
export class Allocation implements Buffer {
  readonly owner: Allocator;
  readonly byteLength: number;
  ptr: number;
  /** Null for empty allocations, which occupy nothing. */
  block: Block | null;

  constructor(owner: Allocator, byteLength: number, ptr: number, block: Block | null) {
    this.owner = owner;
    this.byteLength = byteLength;
    this.ptr = ptr;
    this.block = block;
  }
}

export class Allocator {
  readonly #source: MemorySource;
  readonly #start: number;
  readonly #heads: (Block | null)[] = Array.from({ length: rows * 16 }, () => null);
  /** Bit c of word r: list 16·r + c holds something. */
  readonly #columns = new Int32Array(rows);
  /** Bit r: some list of row r holds something. */
  #rowBits = 0;
  /** The block at the end of the memory. */
  #tail: Block | null = null;
  #spare: Block | null = null;
  /** By size: freed blocks that have not been merged (their `free` is false). */
  readonly #kept: (Block | null)[] = Array.from({ length: largestKept + 1 }, () => null);
  #keptSize = 0;
  #live = 0;
  #peak = 0;

  /** Manages the addresses from `start` to the end of `source`, present and future. */
  constructor(source: MemorySource, start: number) {
    this.#source = source;
    this.#start = Math.ceil(Math.max(start, granule) / granule);
    this.#adopt();
  }

  stats(): MemoryStats {
    return {
      live: this.#live * granule,
      peak: this.#peak * granule,
      reserved: this.#source.byteLength,
    };
  }

  /** Makes `peak` the present `live`. */
  resetPeak(): void {
    this.#peak = this.#live;
  }

  /** Throws OutOfMemoryError, having changed nothing, when there is no room. */
  alloc(byteLength: number): Allocation {
    const size = Math.ceil(byteLength / granule);
    // 2^26 granules are all that 32-bit addresses reach; more would not fit the lists.
    if (!(size > 0 && size < 1 << 26)) return this.#allocUnusual(byteLength);
    let block = size <= largestKept ? this.#kept[size] : null;
    if (block !== null) {
      this.#kept[size] = block.next;
      this.#keptSize -= size;
      block.next = null;
    } else {
      block = this.#find(size, scanLimit) ?? this.#findHarder(size);
      if (block === null) this.#throwOutOfMemory(byteLength);
      this.#unlink(block);
      if (block.size > size) this.#split(block, size);
    }
    this.#live += size;
    if (this.#live > this.#peak) this.#peak = this.#live;
    return new Allocation(this, byteLength, block.start * granule, block);
  }

  free(allocation: Allocation): void {
    if (allocation.owner !== this) {
      throw new BackendError("free: the buffer belongs to another backend");
    }
    if (allocation.ptr === 0) {
      throw new BackendError(`free: the buffer of ${allocation.byteLength} bytes is freed already`);
    }
    allocation.ptr = 0;
    const { block } = allocation;
    if (block === null) return;
    allocation.block = null;
    const { size } = block;
    this.#live -= size;
    if (size > largestKept) {
      this.#release(block);
      return;
    }
    block.next = this.#kept[size];
    this.#kept[size] = block;
    this.#keptSize += size;
    if (this.#keptSize > mayKeep && this.#keptSize * granule * 8 > this.#source.byteLength) {
      this.#releaseKept();
    }
  }

  /** Merges what is kept for reuse. */
  #releaseKept(): void {
    for (let size = 1; size <= largestKept; size++) {
      let block = this.#kept[size];
      this.#kept[size] = null;
      while (block !== null) {
        const { next } = block;
        this.#release(block);
        block = next;
      }
    }
    this.#keptSize = 0;
  }

  #release(block: Block): void {
    const { before, after } = block;
    if (after !== null && after.free) {
      this.#unlink(after);
      this.#absorbAfter(block, after);
    }
    if (before !== null && before.free) {
      this.#unlink(before);
      this.#absorbAfter(before, block);
      block = before;
    }
    this.#link(block);
  }

  /**
   * Merges what is kept, throws unless blocks, lists and bitmaps agree, and returns the number of
   * free blocks; for tests.
   */
  check(): number {
    this.#releaseKept();
    let free = 0;
    let used = 0;
    let end = -1;
    for (let block = this.#tail; block !== null; block = block.before) {
      const fail = (what: string): never => {
        throw new BackendError(`allocator: block at ${block!.start * granule}: ${what}`);
      };
      if (block.size < 1) fail("empty");
      if (end >= 0 && block.start + block.size !== end) fail("gap or overlap");
      if (block.before !== null && block.before.after !== block) fail("neighbours disagree");
      if (block.free && block.before !== null && block.before.free) fail("not merged");
      if (!block.free) used += block.size;
      else {
        free++;
        let listed = this.#heads[listOf(block.size)];
        while (listed !== null && listed !== block) listed = listed.next;
        if (listed === null) fail("free but in no list");
      }
      if (block.before === null && block.start !== this.#start) fail("first, but not at the start");
      end = block.start;
    }
    let listed = 0;
    for (let list = 0; list < rows * 16; list++) {
      for (let block = this.#heads[list]; block !== null; block = block.next) listed++;
      const marked = (this.#columns[list >> 4] & (1 << (list & 15))) !== 0;
      const rowMarked = (this.#rowBits & (1 << (list >> 4))) !== 0;
      if (marked !== (this.#heads[list] !== null) || (marked && !rowMarked)) {
        throw new BackendError(`allocator: bitmap and list ${list} disagree`);
      }
    }
    if (listed !== free) throw new BackendError(`allocator: ${listed} listed, ${free} free blocks`);
    if (used !== this.#live) throw new BackendError(`allocator: ${used} used, ${this.#live} live`);
    return free;
  }

  #allocUnusual(byteLength: number): Allocation {
    if (byteLength === 0) return new Allocation(this, 0, this.#start * granule, null);
    if (byteLength > 0) this.#throwOutOfMemory(byteLength);
    throw new ValueError(`alloc: ${byteLength} bytes (expected a number from 0 up)`);
  }

  #find(size: number, limit: number): Block | null {
    const own = listOf(size);
    let best: Block | null = null;
    let candidate = this.#heads[own];
    for (let i = 0; candidate !== null && i < limit; i++, candidate = candidate.next) {
      if (candidate.size === size) return candidate;
      if (candidate.size > size && (best === null || candidate.size < best.size)) best = candidate;
    }
    if (best !== null) return best;
    // Every block of a later list is large enough.
    let row = own >> 4;
    let bits = this.#columns[row] & (-2 << (own & 15));
    if (bits === 0) {
      const later = this.#rowBits & (-2 << row);
      if (later === 0) return null;
      row = lowestBit(later);
      bits = this.#columns[row];
    }
    return this.#heads[row * 16 + lowestBit(bits)];
  }

  /** Keeps the first `size` granules in `block`, makes the rest a free block. */
  #split(block: Block, size: number): void {
    let rest = this.#spare;
    if (rest === null) rest = new Block(block.start + size, block.size - size);
    else {
      this.#spare = rest.next;
      rest.start = block.start + size;
      rest.size = block.size - size;
    }
    rest.before = block;
    rest.after = block.after;
    if (block.after !== null) block.after.before = rest;
    else this.#tail = rest;
    block.after = rest;
    block.size = size;
    this.#link(rest);
  }

  /** `right`, which is in no list, becomes a part of its neighbour `left`. */
  #absorbAfter(left: Block, right: Block): void {
    left.size += right.size;
    left.after = right.after;
    if (right.after !== null) right.after.before = left;
    else this.#tail = left;
    right.free = false;
    right.before = right.after = null;
    right.next = this.#spare;
    this.#spare = right;
  }

  #link(block: Block): void {
    const list = listOf(block.size);
    const head = this.#heads[list];
    block.free = true;
    block.previous = null;
    block.next = head;
    if (head !== null) head.previous = block;
    else {
      this.#columns[list >> 4] |= 1 << (list & 15);
      this.#rowBits |= 1 << (list >> 4);
    }
    this.#heads[list] = block;
  }

  #unlink(block: Block): void {
    const { previous, next } = block;
    block.free = false;
    block.previous = block.next = null;
    if (next !== null) next.previous = previous;
    if (previous !== null) {
      previous.next = next;
      return;
    }
    const list = listOf(block.size);
    this.#heads[list] = next;
    if (next !== null) return;
    const row = list >> 4;
    this.#columns[row] &= ~(1 << (list & 15));
    if (this.#columns[row] === 0) this.#rowBits &= ~(1 << row);
  }

  /** Rather merge what is kept and walk through a long list than grow. */
  #findHarder(size: number): Block | null {
    if (this.#keptSize > 0) this.#releaseKept();
    return this.#find(size, Infinity) ?? this.#growFor(size);
  }

  /** A free block of at least `size` at the end of the memory, or null if growing is refused. */
  #growFor(size: number): Block | null {
    const atEnd = this.#tail !== null && this.#tail.free ? this.#tail.size : 0;
    const needed = roundUp((size - atEnd) * granule, pageBytes);
    const ample = Math.max(needed, roundUp(this.#source.byteLength / 8, smallestGrowth));
    if (!this.#source.grow(ample) && (ample === needed || !this.#source.grow(needed))) return null;
    this.#adopt();
    return this.#tail;
  }

  /** Takes over what lies between the last block and the end of the memory. */
  #adopt(): void {
    const tail = this.#tail;
    const from = tail === null ? this.#start : tail.start + tail.size;
    const size = Math.floor(this.#source.byteLength / granule) - from;
    if (size <= 0) return;
    if (tail !== null && tail.free) {
      this.#unlink(tail);
      tail.size += size;
      this.#link(tail);
      return;
    }
    const block = new Block(from, size);
    block.before = tail;
    if (tail !== null) tail.after = block;
    this.#tail = block;
    this.#link(block);
  }

  #throwOutOfMemory(byteLength: number): never {
    const { live, reserved } = this.stats();
    throw new OutOfMemoryError(
      `cpu: out of memory: ${formatBytes(byteLength)} requested, ${formatBytes(live)} live, ` +
        `${formatBytes(reserved)} reserved, and the memory cannot grow by as much; use a smaller ` +
        "batch, dispose() of what is no longer needed, or open a scope() around each step",
    );
  }
}

/** The list for blocks of `size` granules: exact below 32, then 16 per power of two. */
function listOf(size: number): number {
  if (size < 32) return size;
  const exponent = 31 - Math.clz32(size);
  return ((exponent - 3) << 4) + ((size >> (exponent - 4)) & 15);
}

function lowestBit(bits: number): number {
  return 31 - Math.clz32(bits & -bits);
}

function roundUp(value: number, unit: number): number {
  return Math.ceil(value / unit) * unit;
}

/** `1536 bytes (1.5 KiB)` */
export function formatBytes(bytes: number): string {
  if (bytes < 1024) return `${bytes} bytes`;
  let size = bytes / 1024;
  let unit = 0;
  for (; size >= 1024 && unit < 2; unit++) size /= 1024;
  return `${bytes} bytes (${size.toFixed(1)} ${["KiB", "MiB", "GiB"][unit]})`;
}
