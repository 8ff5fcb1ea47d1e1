import { WebSocket } from 'ws';
import type { ContractSink } from '../../src/hub/source.ts';
import { Authorization } from '../../src/ime/credentials/authorization.ts';
import type { Credentials } from '../../src/ime/credentials/credentials.ts';
import { FurtherHeaders } from '../../src/ime/credentials/further-headers.ts';
import { GivenToken } from '../../src/ime/credentials/given-token.ts';
import { imeBaseUrl } from '../../src/ime/protocol/endpoints.ts';
import { type Dialer, Upstream, type UpstreamMachine } from '../../src/ime/sockets/upstream.ts';
import { ImeSource } from '../../src/ime/source.ts';
import { createLog } from '../../src/observability/log.ts';
import { RepeatLimit } from '../../src/observability/repeat-limit.ts';
import { TEHRAN } from './gateway.ts';

/** What a source is given that is not as usual. */
interface SourceOptions {
  /** None without it. */
  readonly credentials?: Credentials;
  readonly pingIntervalMs?: number;
}

/** IME as a source of its own, without a gateway around it. */
export function imeSource(
  url: string,
  sink: ContractSink,
  machine: UpstreamMachine,
  { credentials = givenToken(undefined), pingIntervalMs = 5_000 }: SourceOptions = {},
): ImeSource {
  const log = createLog('silent');
  const upstream = new Upstream(
    {
      base: imeBaseUrl(url),
      maxContractsPerSocket: 100,
      maxUrlBytes: 3_900,
      pingIntervalMs,
      pingTimeoutMs: 5_000,
    },
    credentials,
    new Authorization('auto', log),
    TEHRAN,
    log,
    new RepeatLimit(10_000),
    machine,
  );
  return new ImeSource(upstream, sink);
}

/** A token that somebody gives, or a file that it stands in. */
export function givenToken(token: string | undefined, file?: string): Credentials {
  const log = createLog('silent');
  return new GivenToken(token, file, new FurtherHeaders(undefined, log), log);
}

/** Dials for a source whose clock a test moves, and knows when no handshake is under way. */
export class PatientDialer {
  #underWay = 0;

  readonly dial: Dialer = (url, options) => {
    const socket = new WebSocket(url, options);
    let isUnderWay = true;
    this.#underWay++;
    const over = () => {
      if (isUnderWay) this.#underWay--;
      isUnderWay = false;
    };
    socket.once('open', over);
    socket.once('close', over);
    return socket;
  };

  /** Waits as long as handshakes take, and for what open sockets have to say. */
  async wait(): Promise<void> {
    do await new Promise((resolve) => setTimeout(resolve, 3));
    while (this.#underWay > 0);
  }
}
