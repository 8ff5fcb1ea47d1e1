import type { ContractStatus, StatusCause } from '../contract/contract-status.ts';
import type { ContractKey } from '../contract/key.ts';
import type { NewState } from '../hub/source.ts';
import { writeState, writeStatus } from './wire.ts';

/** What is to be written: a new state, a status, that a contract exists, that nobody wants it any more. */
export type Entry =
  | { readonly kind: 'S'; readonly key: ContractKey; readonly state: NewState }
  | {
      readonly kind: 'T';
      readonly key: ContractKey;
      readonly status: ContractStatus;
      readonly cause: StatusCause | null;
    }
  | { readonly kind: 'A' | 'D'; readonly key: ContractKey };

/** What one script writes at most, so that others have their turn with Redis. */
const MOST_ENTRIES = 128;
const MOST_CHARACTERS = 262_144;
/** So many scripts are under way at once. */
const MOST_UNDER_WAY = 4;
/** From so many that wait on, only the newest of each contract is kept. */
const MANY = 4_096;

/** What the holder writes, in order, a tick's changes together; where Redis is slow the newest of each contract. */
export class WriteQueue {
  readonly #write: (args: readonly string[]) => Promise<unknown>;
  readonly #failed: (error: Error) => void;
  #waiting: Entry[] = [];
  #conflateAt = MANY;
  #underWay = 0;
  #isScheduled = false;
  #isClosed = false;

  /**
   * @param write writes some: kind, contract and text, three by three
   * @param failed told of what could not be written: it is lost
   */
  constructor(
    write: (args: readonly string[]) => Promise<unknown>,
    failed: (error: Error) => void,
  ) {
    this.#write = write;
    this.#failed = failed;
  }

  add(entry: Entry): void {
    if (this.#isClosed) return;
    this.#waiting.push(entry);
    if (this.#waiting.length >= this.#conflateAt) this.#conflate();
    if (this.#isScheduled || this.#underWay >= MOST_UNDER_WAY) return;
    this.#isScheduled = true;
    setImmediate(() => {
      this.#isScheduled = false;
      this.#flush();
    });
  }

  /** Forgets what waits. */
  clear(): void {
    this.#waiting = [];
  }

  close(): void {
    this.#isClosed = true;
    this.clear();
  }

  #flush(): void {
    while (!this.#isClosed && this.#waiting.length > 0 && this.#underWay < MOST_UNDER_WAY) {
      const args: string[] = [];
      let count = 0;
      let characters = 0;
      for (; count < Math.min(MOST_ENTRIES, this.#waiting.length); count++) {
        if (characters > MOST_CHARACTERS) break;
        const entry = this.#waiting[count] as Entry;
        const text = textOf(entry);
        characters += text.length;
        args.push(entry.kind, entry.key, text);
      }
      this.#waiting.splice(0, count);
      this.#underWay++;
      this.#write(args)
        .catch((error: Error) => {
          if (!this.#isClosed) this.#failed(error);
        })
        .finally(() => {
          this.#underWay--;
          this.#flush();
        });
    }
  }

  #conflate(): void {
    const newest = new Map<string, Entry>();
    for (const entry of this.#waiting) {
      // A state says all that a status before it said.
      const ends = entry.kind === 'S' ? ['S', 'T'] : [entry.kind];
      for (const kind of ends) newest.delete(kind + entry.key);
      newest.set(entry.kind + entry.key, entry);
    }
    this.#waiting = [...newest.values()];
    this.#conflateAt = Math.max(MANY, 2 * this.#waiting.length);
  }
}

function textOf(entry: Entry): string {
  if (entry.kind === 'S') return writeState(entry.key, entry.state.snapshot, entry.state.stale);
  return entry.kind === 'T' ? writeStatus(entry.status, entry.cause) : '';
}
