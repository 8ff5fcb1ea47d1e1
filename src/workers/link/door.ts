import { mkdtemp, rm } from 'node:fs/promises';
import { createConnection, createServer, type Server } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Channel } from './channel.ts';

/** Where workers come in: a local socket in a folder that nobody else may enter. */
export class WorkersDoor {
  readonly #server: Server;
  readonly #channels = new Set<Channel>();
  #folder: string | undefined;

  /**
   * @param came given the channel to each worker that comes
   * @param failed told of what is wrong with what a worker says; its channel is then closed
   */
  constructor(came: (channel: Channel) => void, failed: (error: unknown) => void) {
    this.#server = createServer((socket) => {
      const channel = new Channel(socket, failed);
      this.#channels.add(channel);
      channel.onClose(() => this.#channels.delete(channel));
      came(channel);
    });
  }

  /** Opens it. @returns the path of the socket */
  async open(): Promise<string> {
    this.#folder = await mkdtemp(join(tmpdir(), 'ime-gateway-'));
    const path = join(this.#folder, 'primary.sock');
    await new Promise<void>((resolve, reject) => {
      this.#server.once('error', reject);
      this.#server.listen(path, resolve);
    });
    return path;
  }

  /** Closes it and every channel, and takes the folder away. */
  async close(): Promise<void> {
    for (const channel of this.#channels) channel.close();
    await new Promise((resolve) => this.#server.close(resolve));
    if (this.#folder !== undefined) await rm(this.#folder, { recursive: true, force: true });
  }
}

/** A worker's channel to the primary at a path. @throws where nobody is there */
export function connectToPrimary(path: string, failed: (error: unknown) => void): Promise<Channel> {
  return new Promise((resolve, reject) => {
    const socket = createConnection(path);
    socket.once('error', reject);
    socket.once('connect', () => {
      socket.off('error', reject);
      resolve(new Channel(socket, failed));
    });
  });
}
