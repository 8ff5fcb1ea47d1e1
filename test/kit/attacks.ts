import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { SeededRandom } from '../../src/simulator/random.ts';
import { type Attack, type AttackFigures, underAttack } from './attack.ts';
import { AttackGround, HELD } from './attack-ground.ts';
import { FLOODS, PAUSES, paced, STALL_MS, TAKES_NOTHING } from './attacks-flood.ts';
import { GOOD_TOKEN, houseFaults } from './attacks-house.ts';
import { leaveWhileChecked, RACES, TokenGiver, tokenRaces } from './attacks-race.ts';
import { PIECES, singleMessages } from './attacks-single.ts';

/** Limits of rates that are out of the way, where what one message costs is looked at. */
const FAST = {
  MAX_OPERATIONS_PER_SECOND: '1000000',
  MAX_OPERATIONS_PER_SECOND_PER_PRINCIPAL: '1000000',
  MAX_UNKNOWN_CONTRACTS_PER_MINUTE: '100000',
};
const FEW = HELD.slice(0, 100);

/** A ground with what is attacked there. */
interface Prepared {
  readonly ground: AttackGround;
  readonly attacks: readonly Attack[];
  close?(): void;
}

/** Attacks that go together, on a ground of their own. */
export interface Campaign {
  readonly name: string;
  /** How long each attack takes that can last as long as one likes, in tests, in milliseconds. */
  readonly boundedMs: number;
  /** Whether it waits more than it computes. */
  readonly isIdle: boolean;
  /** @param isLong whether there is time for as much as the figures say */
  prepare(isLong: boolean): Promise<Prepared>;
}

/** Every attack. */
export const CAMPAIGNS: readonly Campaign[] = [
  {
    name: 'a single message, however heavy',
    boundedMs: 2_500,
    isIdle: false,
    async prepare(isLong) {
      // In the suite other files run beside it, and of what they do to caches no yardstick tells.
      const messages = singleMessages(isLong ? 100 : 200);
      return { ground: await new AttackGround(FAST).start(), attacks: [messages, PIECES] };
    },
  },
  {
    name: 'floods of one client',
    boundedMs: 600,
    isIdle: false,
    async prepare(isLong) {
      const held = isLong ? Array.from({ length: 3_000 }, (_, at) => `c${at}`) : HELD;
      return { ground: await new AttackGround().start(held), attacks: FLOODS };
    },
  },
  {
    name: 'what is held back for its pace',
    boundedMs: 500,
    isIdle: false,
    async prepare(isLong) {
      const limits = { ...FAST, MAX_CONTRACTS_PER_PRINCIPAL: '1000000' };
      const attack = isLong ? paced(10_000, 0.02) : paced(1_000, 0.05);
      return { ground: await new AttackGround(limits).start(FEW), attacks: [attack] };
    },
  },
  {
    name: 'a client whose buffer is smaller than a socket’s own bound',
    boundedMs: 500,
    isIdle: true,
    async prepare() {
      const settings = { CLIENT_BUFFER_BYTES: '1024', CLIENT_STALL_MS: String(STALL_MS) };
      const burst: Attack = {
        name: 'bursts for a healthy client with a small buffer',
        async run(ground, _random, ms) {
          const endsAtMs = performance.now() + Math.max(ms, 2_000);
          while (performance.now() < endsAtMs) {
            for (let one = 0; one < 20; one++) ground.publishWitnessed();
            await new Promise((resolve) => setTimeout(resolve, 100));
          }
          return { messages: 1, bytesIn: 0, bytesOut: 0 };
        },
      };
      return {
        ground: await new AttackGround(settings).start(FEW),
        attacks: [burst, PAUSES, TAKES_NOTHING],
      };
    },
  },
  {
    name: 'races of keys, ids and bodies',
    boundedMs: 500,
    isIdle: true,
    async prepare() {
      return { ground: await new AttackGround().start(FEW), attacks: RACES };
    },
  },
  {
    name: 'races of tokens whose keys are slow',
    boundedMs: 500,
    isIdle: true,
    async prepare() {
      const giver = await new TokenGiver().start();
      const tokens = {
        attacker: await giver.token('attacker', ['*']),
        witness: await giver.token('witness', ['*']),
      };
      const settings = { AUTH: 'jwt', JWT_JWKS_URL: giver.url } as const;
      const ground = await new AttackGround(settings, tokens).start(FEW, (attacked) =>
        leaveWhileChecked(attacked, giver),
      );
      return { ground, attacks: tokenRaces(giver), close: () => giver.close() };
    },
  },
  {
    name: 'the gateway’s own house',
    boundedMs: 800,
    isIdle: true,
    async prepare() {
      const folder = mkdtempSync(join(tmpdir(), 'attacked-token-'));
      const tokenFile = join(folder, 'token');
      writeFileSync(tokenFile, GOOD_TOKEN);
      const ground = new AttackGround({ IME_TOKEN_FILE: tokenFile }, { ime: GOOD_TOKEN });
      await ground.start(FEW);
      const attacks = houseFaults(tokenFile, () => Number(new URL(ground.imeUrl).port));
      return { ground, attacks, close: () => rmSync(folder, { recursive: true }) };
    },
  },
];

/** How a campaign is led. */
export interface Led {
  readonly seed: number;
  /** How long each attack takes that can last as long as one likes, in milliseconds. */
  readonly ms: number;
  readonly isLong?: boolean;
  /** Only attacks whose name has this. */
  readonly only?: string;
  /** Told of each attack that was withstood. */
  readonly withstood?: (figures: AttackFigures) => void;
}

/**
 * Leads a campaign, one attack after the other.
 *
 * @returns what failed, in words; the attacks after one that failed have a ground of their own
 */
export async function lead(campaign: Campaign, how: Led): Promise<string[]> {
  const failures: string[] = [];
  const done = new Set<string>();
  for (;;) {
    const { ground, attacks, close } = await campaign.prepare(how.isLong === true);
    try {
      for (const attack of attacks) {
        if (done.has(attack.name) || !attack.name.includes(how.only ?? '')) continue;
        done.add(attack.name);
        const figures = await underAttack(ground, attack, new SeededRandom(how.seed), how.ms);
        how.withstood?.(figures);
      }
      return failures;
    } catch (error) {
      failures.push(`${[...done].at(-1)}: ${error instanceof Error ? error.message : error}`);
    } finally {
      await ground.close();
      close?.();
    }
  }
}
