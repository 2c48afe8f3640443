/** Scratch memory of a program: its launches take it in turn, and it stays until the program goes. */
export class ProgramScratch<Block extends { readonly byteLength: number }> {
  readonly #blocks: Block[] = [];
  #spare: Block[] = [];

  /** A block that nothing uses now, of so many bytes or more; a new one from `alloc` if there is none. */
  take(byteLength: number, alloc: (byteLength: number) => Block): Block {
    const fitting = this.#spare.findIndex((block) => block.byteLength >= byteLength);
    if (fitting >= 0) return this.#spare.splice(fitting, 1)[0];
    const block = alloc(byteLength);
    this.#blocks.push(block);
    return block;
  }

  give(block: Block): void {
    this.#spare.push(block);
  }

  freeAll(free: (block: Block) => void): void {
    this.#spare = [];
    for (const block of this.#blocks.splice(0)) free(block);
  }
}
