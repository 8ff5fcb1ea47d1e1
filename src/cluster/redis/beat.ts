import { z } from 'zod';

/** A gateway as Redis has it. */
export interface Member {
  readonly id: string;
  /** How many contracts it wants. */
  readonly wishes: number;
}

/** What a gateway says of itself. */
export interface MemberInfo {
  readonly role: 'any' | 'edge';
  /** Connections of its clients. */
  readonly clients: number;
  /** Of the holder: why it cannot do its job, in words, and what else keeps contracts from being served. */
  readonly reasons: readonly string[];
  readonly problems: readonly string[];
}

/** What Redis says to a gateway that says it is there. */
export interface Beat {
  readonly epoch: string;
  /** The last position that was given. */
  readonly offset: number;
  /** Who has the lease; empty where nobody has it. */
  readonly lease: string;
  /** For how long yet, in milliseconds. */
  readonly leaseMs: number;
  /** What must be in force for whoever writes. */
  readonly fence: string;
  readonly members: readonly (Member & MemberInfo)[];
}

const infoSchema = z.object({
  role: z.enum(['any', 'edge']).catch('any'),
  clients: z.number().catch(0),
  reasons: z.array(z.string()).catch([]),
  problems: z.array(z.string()).catch([]),
});

/** Reads what the script `beat` answers. */
export function readBeat(reply: unknown): Beat {
  const [epoch, offset, lease, leaseMs, fence, ...rest] = reply as unknown[];
  const members: (Member & MemberInfo)[] = [];
  for (let at = 0; at + 2 < rest.length; at += 3) {
    const info = readInfo(String(rest[at + 1]));
    members.push({ id: String(rest[at]), wishes: Number(rest[at + 2]), ...info });
  }
  return {
    epoch: String(epoch),
    offset: Number(offset),
    lease: String(lease),
    leaseMs: Number(leaseMs),
    fence: String(fence),
    members,
  };
}

/** Other versions may say other things. */
function readInfo(text: string): MemberInfo {
  try {
    return infoSchema.parse(JSON.parse(text));
  } catch {
    return { role: 'any', clients: 0, reasons: [], problems: [] };
  }
}
