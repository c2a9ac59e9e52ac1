/** Bounds what is under way to somebody who says later how much of it was taken. */
export class Credit {
  readonly #max: number;
  #underWay = 0;

  constructor(max: number) {
    this.#max = max;
  }

  get hasRoom(): boolean {
    return this.#underWay < this.#max;
  }

  /** One more is under way, whether there was room or not. */
  handleSent(): void {
    this.#underWay++;
  }

  /** So many more have arrived. */
  handleTaken(count: number): void {
    this.#underWay = Math.max(0, this.#underWay - count);
  }
}
