import { type ClientOptions, WebSocket } from 'ws';
import type { LocalTimeZone } from '../../contract/local-time.ts';
import { PositionGiver } from '../../hub/position.ts';
import { type Clock, systemClock } from '../../lib/clock.ts';
import type { Logger } from '../../observability/log.ts';
import type { RepeatLimit } from '../../observability/repeat-limit.ts';
import type { Authorization } from '../credentials/authorization.ts';
import type { Credential, Credentials } from '../credentials/credentials.ts';
import { FRAME_FAULTS, type FrameFault } from '../protocol/decode.ts';
import { authorizationHeader } from '../protocol/endpoints.ts';
import { AcceptanceClock } from './acceptance.ts';
import { DelayMeter } from './delay.ts';
import { DialGate } from './dial-gate.ts';
import { FAILURE_CLASSES, type FailureClass } from './failure.ts';

/** How IME is to be used. */
export interface UpstreamSettings {
  /** Base of the service, as `imeBaseUrl` gives it. */
  readonly base: URL;
  readonly maxContractsPerSocket: number;
  /** Bound of a request target (path and query), in bytes. */
  readonly maxUrlBytes: number;
  readonly pingIntervalMs: number;
  readonly pingTimeoutMs: number;
}

/** What has been counted since the start. */
export interface UpstreamCounts {
  /** Messages that were read, duplicates included. */
  messages: number;
  /** Messages without one of their sections. */
  partialMessages: number;
  /** Fields left out or of a wrong type. */
  missingFields: number;
  /** Messages that another socket had delivered already. */
  duplicates: number;
  /** Messages that were more than 2 s late. */
  lateMessages: number;
  /** Frames dropped, by what was wrong with them; `foreign`: of a contract never asked for there. */
  readonly droppedFrames: Record<FrameFault | 'foreign', number>;
  /** Connections lost or refused, by what that meant. */
  readonly failures: Record<FailureClass, number>;
}

/** Opens a WebSocket connection. */
export type Dialer = (url: string, options: ClientOptions) => WebSocket;

/** What the upstream needs of the machine. */
export interface UpstreamMachine {
  readonly clock: Clock;
  readonly dial: Dialer;
}

/** The machine's own network. */
const dialMachine: Dialer = (url, options) => new WebSocket(url, options);

/** What both pools share: one service, one token, one budget of dials. */
export class Upstream {
  readonly clock: Clock;
  readonly dial: Dialer;
  readonly positions: PositionGiver;
  readonly gate: DialGate;
  readonly acceptance = new AcceptanceClock();
  readonly delay = new DelayMeter();
  readonly counts: UpstreamCounts = {
    messages: 0,
    partialMessages: 0,
    missingFields: 0,
    duplicates: 0,
    lateMessages: 0,
    droppedFrames: zeros([...FRAME_FAULTS, 'foreign']),
    failures: zeros(FAILURE_CLASSES),
  };

  constructor(
    readonly settings: UpstreamSettings,
    readonly credentials: Credentials,
    readonly authorization: Authorization,
    readonly zone: LocalTimeZone,
    readonly log: Logger,
    readonly repeats: RepeatLimit,
    { clock = systemClock, dial = dialMachine }: Partial<UpstreamMachine> = {},
  ) {
    this.clock = clock;
    this.dial = dial;
    this.positions = new PositionGiver(clock);
    this.gate = new DialGate(clock);
  }

  /** Whether a credential is not in force any more: its refusal says nothing of contracts, or of the one that is. */
  isOutdated(credential: Credential | undefined): boolean {
    return credential !== this.credentials.current;
  }

  /** The headers of a handshake with a credential, in the form that is in force. */
  headersFor(credential: Credential | undefined): Record<string, string> {
    if (credential === undefined) return {};
    const { form } = this.authorization;
    return { ...credential.headers, ...authorizationHeader(credential.token, form) };
  }
}

function zeros<K extends string>(names: readonly K[]): Record<K, number> {
  return Object.fromEntries(names.map((name) => [name, 0])) as Record<K, number>;
}
