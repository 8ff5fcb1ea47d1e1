/**
 * Where a shard is: not dialed yet, waiting out a backoff, waiting for its turn to dial, in the
 * handshake, open, open and accepted, accepted and delivering without a gap, or done for good.
 */
export type ShardState =
  | 'new'
  | 'waiting'
  | 'queued'
  | 'dialing'
  | 'open'
  | 'accepted'
  | 'settled'
  | 'closed';
