import type { Access } from '../access/access.ts';
import type { LimitExceeded } from '../access/limit.ts';
import type { Principal } from '../access/principal.ts';
import { once } from '../lib/once.ts';

/**
 * From so many bytes of unread answers on no other one is made: for one principal at one address, and for all
 * together.
 */
const MOST_OF_READER = 32 * 1024 * 1024;
const MOST_OF_ALL = 256 * 1024 * 1024;

/** Who reads answers. */
export interface AnswerReader {
  readonly principal: Principal;
  readonly address: string;
}

/** The bytes of answers that are being made or have not been read by their clients. */
export class AnswerBudget {
  readonly #access: Access;
  readonly #ofReader = new Map<string, number>();
  #ofAll = 0;

  constructor(access: Access) {
    this.#access = access;
  }

  /** How many bytes are taken. */
  get bytes(): number {
    return this.#ofAll;
  }

  /** @throws LimitExceeded where earlier answers have to be read first */
  check(reader: AnswerReader): void {
    const taken = this.#ofReader.get(nameOf(reader)) ?? 0;
    if (taken >= MOST_OF_READER || (taken > 0 && this.#ofAll >= MOST_OF_ALL)) throw this.#full();
  }

  /**
   * Takes note of an answer.
   *
   * @returns says that it was read, or is not needed any more; harmless when repeated
   * @throws LimitExceeded as {@link check} does
   */
  take(reader: AnswerReader, bytes: number): () => void {
    this.check(reader);
    const who = nameOf(reader);
    const taken = this.#ofReader.get(who) ?? 0;
    this.#ofReader.set(who, taken + bytes);
    this.#ofAll += bytes;
    return once(() => {
      this.#ofAll -= bytes;
      const left = (this.#ofReader.get(who) ?? 0) - bytes;
      if (left > 0) this.#ofReader.set(who, left);
      else this.#ofReader.delete(who);
    });
  }

  #full(): LimitExceeded {
    return this.#access.exceeded(
      'operations_in_flight_per_principal',
      'RATE_LIMITED',
      'expected the answers so far to be read before others are asked for',
    );
  }
}

function nameOf({ principal, address }: AnswerReader): string {
  return `${principal.id} ${address}`;
}
