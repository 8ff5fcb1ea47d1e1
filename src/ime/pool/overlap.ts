import { dataText } from '../protocol/data-text.ts';

/** How many delivered messages of a contract are remembered while two sockets carry it. */
const MOST_REMEMBERED = 1_024;
/** How far apart two sockets may stamp one publication, where each stamps what it sends, in milliseconds. */
const STAMPED_APART_MS = 50;

/** A message while its contract is carried by several sockets. */
export interface OverlappingMessage<M> {
  /** The frame as it came. */
  readonly text: string;
  readonly timestamp: string;
  /** What is delivered. */
  readonly message: M;
}

/** A socket beside the leader. */
interface Follower<M> {
  /** How far it has come in what was delivered. */
  cursor: number;
  /** What it has brought and the leader has not. */
  readonly ahead: OverlappingMessage<M>[];
}

/**
 * One contract while several sockets carry it. What they all deliver is delivered once, in order.
 *
 * The socket that carried the contract first leads: its messages are delivered as they come. What
 * another socket brings is either in the run that was delivered already, and dropped, or ahead of the
 * leader, and held until the leader brings it too or leaves. So nothing older ever follows something
 * newer, and nothing between the two is lost. Held messages wait for as long as the sockets overlap,
 * a few hundred milliseconds after the second one's first message.
 */
export class Overlap<Feed, M> {
  readonly #delivered: OverlappingMessage<M>[] = [];
  readonly #followers = new Map<Feed, Follower<M>>();
  #leader: Feed;
  /** How far the leader has come in what was delivered; the first leader has delivered all of it. */
  #leaderCursor = Number.POSITIVE_INFINITY;
  /** How many entries have left `#delivered` at its front. */
  #forgotten = 0;

  /** @param leader the socket that has carried the contract so far */
  constructor(leader: Feed) {
    this.#leader = leader;
  }

  /** Whether only the leader is left, and it brings nothing any more that was delivered already. */
  get isOver(): boolean {
    return this.#followers.size === 0 && this.#leaderCursor >= this.#end;
  }

  /** A further socket is about to carry the contract: from here on what is delivered is remembered. */
  join(feed: Feed): void {
    if (feed === this.#leader || this.#followers.has(feed)) return;
    this.#followers.set(feed, { cursor: this.#end, ahead: [] });
  }

  /**
   * A message has come over a socket.
   *
   * @param canLead whether a socket is open: where the leader still dials, whoever delivers leads
   * @returns what to deliver now, in order
   */
  receive(
    feed: Feed,
    message: OverlappingMessage<M>,
    canLead: (feed: Feed) => boolean,
  ): OverlappingMessage<M>[] {
    if (feed === this.#leader) return this.#lead(message) ? [message] : [];
    const follower = this.#followers.get(feed);
    if (follower === undefined) return [];
    if (!canLead(this.#leader)) {
      const last = this.#leader;
      const held = this.#promote(feed, follower);
      this.#followers.set(last, { cursor: this.#end, ahead: [] });
      return this.#lead(message) ? [...held, message] : held;
    }
    if (follower.ahead.length === 0) {
      const place = this.#find(message, follower.cursor);
      if (place !== undefined) {
        follower.cursor = place + 1;
        return [];
      }
    }
    follower.ahead.push(message);
    return [];
  }

  /**
   * A socket no longer carries the contract. When it was the leader, the next one leads.
   *
   * @param canLead whether a socket is open: one that still dials leads only where there is no other
   * @returns what the new leader was ahead of the old one, to deliver now, in order
   */
  leave(feed: Feed, canLead: (feed: Feed) => boolean): OverlappingMessage<M>[] {
    if (feed !== this.#leader) {
      this.#followers.delete(feed);
      return [];
    }
    const followers = [...this.#followers];
    const next = followers.find(([follower]) => canLead(follower)) ?? followers[0];
    if (next === undefined) return [];
    return this.#promote(...next);
  }

  /** Makes a follower the leader. @returns what it was ahead, to deliver now */
  #promote(feed: Feed, { ahead, cursor }: Follower<M>): OverlappingMessage<M>[] {
    this.#followers.delete(feed);
    this.#leader = feed;
    // Whoever was ahead has seen all that was delivered; whoever was behind still brings some of it.
    this.#leaderCursor = ahead.length > 0 ? Number.POSITIVE_INFINITY : cursor;
    return ahead.filter((message) => this.#follows(message));
  }

  get #end(): number {
    return this.#forgotten + this.#delivered.length;
  }

  /** Takes a message of the leader. @returns whether it is new */
  #lead(message: OverlappingMessage<M>): boolean {
    if (this.#leaderCursor < this.#end) {
      const place = this.#find(message, this.#leaderCursor);
      if (place !== undefined) {
        this.#leaderCursor = place + 1;
        return false;
      }
    }
    this.#leaderCursor = Number.POSITIVE_INFINITY;
    this.#remember(message);
    for (const follower of this.#followers.values()) {
      // The leader has caught up with what was held up to the same message.
      const at = indexOfSame(follower.ahead, message, 0);
      if (at !== -1) {
        follower.ahead.splice(0, at + 1);
        follower.cursor = this.#end;
      }
    }
    return true;
  }

  /** The place of a message in what was delivered, from `cursor` on. */
  #find(message: OverlappingMessage<M>, cursor: number): number | undefined {
    const from = Math.max(0, cursor - this.#forgotten);
    const at = indexOfSame(this.#delivered, message, from);
    return at === -1 ? undefined : this.#forgotten + at;
  }

  /** Whether a held message is really new: not the last state again, and not older than it. */
  #follows(message: OverlappingMessage<M>): boolean {
    const last = this.#delivered.at(-1);
    if (last !== undefined) {
      if (message.timestamp < last.timestamp || sameData(message, last)) return false;
    }
    this.#remember(message);
    return true;
  }

  #remember(message: OverlappingMessage<M>): void {
    this.#delivered.push(message);
    // Forgetting a batch at a time keeps this cheap.
    if (this.#delivered.length >= 2 * MOST_REMEMBERED) {
      this.#delivered.splice(0, MOST_REMEMBERED);
      this.#forgotten += MOST_REMEMBERED;
    }
  }
}

/**
 * The first message from `from` on that is the same publication: the same text, or the same `data` at
 * the same time where each connection writes a timestamp of its own. The same `data` at another time
 * is a price that has come back.
 */
function indexOfSame<M>(
  messages: readonly OverlappingMessage<M>[],
  message: OverlappingMessage<M>,
  from: number,
): number {
  for (let at = from; at < messages.length; at++) {
    if (messages[at]?.text === message.text) return at;
  }
  for (let at = from; at < messages.length; at++) {
    const other = messages[at];
    if (other !== undefined && stampedTogether(other, message) && sameData(other, message))
      return at;
  }
  return -1;
}

function stampedTogether<M>(a: OverlappingMessage<M>, b: OverlappingMessage<M>): boolean {
  return Math.abs(Date.parse(a.timestamp) - Date.parse(b.timestamp)) <= STAMPED_APART_MS;
}

function sameData<M>(a: OverlappingMessage<M>, b: OverlappingMessage<M>): boolean {
  return dataText(a.text) === dataText(b.text);
}
