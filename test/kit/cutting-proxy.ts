import type { AddressInfo } from 'node:net';
import { connect, createServer, type Server, type Socket } from 'node:net';

/** What becomes of one connection through the proxy. */
export interface Fate {
  /** After so many bytes of the server's the connection breaks; `undefined`: never. */
  readonly cutAfterBytes: number | undefined;
  /** Nothing is read from the server for so long from the beginning on, in milliseconds. */
  readonly slowForMs: number;
}

/** Stands between clients and a server, and cuts connections at any byte, or lets nothing through any more. */
export class CuttingProxy {
  readonly #port: number;
  readonly #fate: () => Fate;
  readonly #server: Server;
  readonly #sockets = new Set<Socket>();
  /** Whatever comes is taken and goes nowhere, as on a line that is cut: nobody is told. */
  swallows = false;

  /**
   * @param port of the server
   * @param fate asked for each connection
   */
  constructor(port: number, fate: () => Fate) {
    this.#port = port;
    this.#fate = fate;
    this.#server = createServer((client) => this.#connect(client));
  }

  /** @returns `http://host:port` of where it listens */
  async listen(): Promise<string> {
    await new Promise<void>((resolve) => this.#server.listen(0, '127.0.0.1', resolve));
    return `http://127.0.0.1:${(this.#server.address() as AddressInfo).port}`;
  }

  /** Breaks every connection. */
  cut(): void {
    for (const socket of this.#sockets) socket.destroy();
  }

  async close(): Promise<void> {
    this.cut();
    await new Promise((resolve) => this.#server.close(resolve));
  }

  #connect(client: Socket): void {
    const server = connect(this.#port, '127.0.0.1');
    const fate = this.#fate();
    let leftBytes = fate.cutAfterBytes ?? Number.POSITIVE_INFINITY;
    for (const [one, other] of [
      [client, server],
      [server, client],
    ] as const) {
      this.#sockets.add(one);
      one.on('error', () => {});
      one.on('close', () => {
        this.#sockets.delete(one);
        other.destroy();
      });
    }
    client.on('data', (chunk) => {
      if (!this.swallows) server.write(chunk);
    });
    server.on('data', (chunk) => {
      if (this.swallows) return;
      if (chunk.length < leftBytes) {
        leftBytes -= chunk.length;
        client.write(chunk);
        return;
      }
      server.removeAllListeners('data');
      client.write(chunk.subarray(0, leftBytes), () => client.destroy());
    });
    if (fate.slowForMs === 0) return;
    server.pause();
    const timer = setTimeout(() => server.resume(), fate.slowForMs);
    server.on('close', () => clearTimeout(timer));
  }
}
