import type { Socket } from 'node:net';
import { addressKey } from './address-key.ts';

/** Places beyond those of clients: short requests, and those that wait to be refused with a word. */
const SPARE = 1_000;
/** The same for one address. */
const SPARE_OF_ADDRESS = 200;
/** What one address leaves to the others whatever it may, and as a part of all where there are few. */
const LEFT_TO_OTHERS = 500;
const LEFT_PART = 1 / 4;
/** Descriptors that clients leave to everything else, and as a part of all where there are few. */
const OTHER_DESCRIPTORS = 256;
const OTHER_PART = 1 / 2;
/** With a smaller part of what was configured than this, operators are told. */
const NEARLY_ALL = 0.9;

/** How many clients there may be. */
export interface ClientLimits {
  readonly connections: number;
  readonly connectionsPerAddress: number;
}

/**
 * The places that TCP connections take, whether anything is ever asked on them or not: in all, and for each
 * address that they come from. A proxy that is believed is nobody's address.
 */
export class ConnectionPlaces {
  /** How many connections there may be in all. */
  readonly most: number;
  /** Whether the process may open so few files that there cannot be nearly as many clients as there may. */
  readonly isCutShort: boolean;
  readonly #mostOfAddress: number;
  readonly #isProxy: (peer: string) => boolean;
  readonly #taken = new Map<string, number>();
  readonly #known = new WeakSet<Socket>();

  /**
   * @param descriptors how many files the process may have open
   * @param isProxy whether an address is a proxy's that is believed: the connections that it makes are those
   *   of many
   */
  constructor(
    { connections, connectionsPerAddress }: ClientLimits,
    descriptors: number,
    isProxy: (peer: string) => boolean,
  ) {
    const wanted = connections + SPARE;
    const possible = descriptors - Math.min(OTHER_DESCRIPTORS, Math.ceil(descriptors * OTHER_PART));
    this.isCutShort = possible < connections * NEARLY_ALL;
    this.most = Math.min(wanted, possible);
    this.#mostOfAddress = Math.min(
      connectionsPerAddress + SPARE_OF_ADDRESS,
      this.most - Math.min(LEFT_TO_OTHERS, Math.ceil(this.most * LEFT_PART)),
    );
    this.#isProxy = isProxy;
  }

  /**
   * Takes a place for a connection, and gives it back when the connection closes.
   *
   * @param peer the address at its other end
   * @returns whether there was one
   */
  take(socket: Socket, peer: string): boolean {
    if (this.#known.has(socket)) return true;
    this.#known.add(socket);
    if (this.#isProxy(peer)) return true;
    const address = addressKey(peer);
    const taken = this.#taken.get(address) ?? 0;
    if (taken >= this.#mostOfAddress) return false;
    this.#taken.set(address, taken + 1);
    socket.once('close', () => this.#giveBack(address));
    return true;
  }

  #giveBack(address: string): void {
    const left = (this.#taken.get(address) ?? 1) - 1;
    if (left > 0) this.#taken.set(address, left);
    else this.#taken.delete(address);
  }
}
