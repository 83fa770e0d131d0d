import type { Take } from "./few-at-once.ts";
import type { TurnQuestion } from "./kernel-thread.ts";

/** A kernel thread's side of asking for turns, which the main thread grants. */
export class TurnQuestions {
  readonly #send: (question: TurnQuestion) => void;
  readonly #open = new Map<number, () => void>();
  #next = 1;

  constructor(send: (question: TurnQuestion) => void) {
    this.#send = send;
  }

  readonly take: Take = (isAdd, go) => {
    const turn = this.#next++;
    this.#open.set(turn, go);
    this.#send({ turn, isAdd });
    return () => {
      this.#open.delete(turn);
      this.#send({ turn });
    };
  };

  /** A turn that nobody waits for any more is dropped: its end is on its way. */
  given(turn: number): void {
    this.#open.get(turn)?.();
  }
}
