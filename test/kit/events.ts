import { onTestFinished } from 'vitest';

/** One server-sent event, as a browser's EventSource has it. */
export interface ServerEvent {
  readonly id: string | undefined;
  readonly type: string;
  readonly data: string;
}

/** A client of server-sent events that reads the stream by itself, line by line. */
export class EventStream {
  readonly events: ServerEvent[] = [];
  status = 0;
  hasEnded = false;
  readonly #abort = new AbortController();
  #wake: () => void = () => {};

  constructor(url: string, query: string, headers: Record<string, string> = {}) {
    onTestFinished(() => this.close());
    void this.#read(`${url}/graphql?${new URLSearchParams({ query })}`, headers).catch(() => {
      this.hasEnded = true;
      this.#wake();
    });
  }

  /** The last id that came, as an EventSource remembers it. */
  get lastEventId(): string | undefined {
    return this.events.findLast(({ id }) => id !== undefined)?.id;
  }

  /** The data of every `next` event. */
  results<Data>(): Data[] {
    return this.events
      .filter(({ type }) => type === 'next')
      .map(({ data }) => (JSON.parse(data) as { data: Data }).data);
  }

  close(): void {
    this.#abort.abort();
  }

  async until(holds: () => boolean, what: string, withinMs = 20_000): Promise<void> {
    const deadline = performance.now() + withinMs;
    while (!holds()) {
      const leftMs = deadline - performance.now();
      if (leftMs <= 0) {
        throw new Error(`waited until ${what}; ${JSON.stringify(this.events.slice(-3))}`);
      }
      await new Promise<void>((resolve) => {
        const timer = setTimeout(resolve, leftMs);
        this.#wake = () => {
          clearTimeout(timer);
          resolve();
        };
      });
    }
  }

  async #read(url: string, headers: Record<string, string>): Promise<void> {
    const response = await fetch(url, {
      headers: { accept: 'text/event-stream', ...headers },
      signal: this.#abort.signal,
    });
    this.status = response.status;
    const decoder = new TextDecoder();
    let text = '';
    for await (const chunk of response.body ?? []) {
      text += decoder.decode(chunk as Uint8Array, { stream: true });
      const blocks = text.split('\n\n');
      text = blocks.pop() ?? '';
      for (const block of blocks) this.#take(block);
      this.#wake();
    }
    this.hasEnded = true;
    this.#wake();
  }

  #take(block: string): void {
    const fields = new Map<string, string>();
    for (const line of block.split('\n')) {
      const [, name = '', value = ''] = /^([^:]*):? ?(.*)$/.exec(line) ?? [];
      if (name !== '') fields.set(name, value);
    }
    const data = fields.get('data');
    if (data === undefined) return;
    this.events.push({ id: fields.get('id'), type: fields.get('event') ?? 'message', data });
  }
}
