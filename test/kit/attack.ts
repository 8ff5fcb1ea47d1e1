import type { SeededRandom } from '../../src/simulator/random.ts';
import type { AttackGround } from './attack-ground.ts';

/** What an attack has sent and been answered, in bytes, and how often. */
export interface Traffic {
  readonly messages: number;
  readonly bytesIn: number;
  readonly bytesOut: number;
  /** The part of a core that was taken while nothing happened, where an attack measures that. */
  readonly core?: number | undefined;
}

/** Something hostile, and what it may cost. */
export interface Attack {
  readonly name: string;
  /**
   * Attacks for about so long; what it has opened stays open until the ground is left.
   *
   * @throws where the gateway answers otherwise than it should
   */
  run(ground: AttackGround, random: SeededRandom, ms: number): Promise<Traffic>;
  /** IME is away afterwards: what must hold after an attack is not looked at. */
  readonly leavesNothingWhole?: true;
  /** The most CPU time that a message may take, in milliseconds on an idle machine. */
  readonly mostCpuMsEach?: number;
  /** The most of the time that the gateway may compute, as a part of one core of an idle machine. */
  readonly mostCore?: number;
  /** By how much what is reachable may grow while the attack lasts, in MB. */
  readonly mostGrownMb?: number;
  /** As many bytes may be answered to one that was sent, besides {@link FREE_BYTES} for each message. */
  readonly mostAmplification?: number;
}

/** What an attack has cost. */
export interface AttackFigures extends Traffic {
  readonly name: string;
  readonly seconds: number;
  readonly cpuMs: number;
  readonly grownMb: number;
  /** By how much the resident set was larger at its highest than before. */
  readonly rssMb: number;
  readonly worstStallMs: number;
  /** Of the witness's updates meanwhile. */
  readonly p99Ms: number;
  /** The longest that /health took meanwhile. */
  readonly healthMs: number;
}

/** So many bytes may answer any message. */
const FREE_BYTES = 4_096;
/** What is reachable may always grow by so much: caches that fill. */
const GROWN_MB = 100;
const HEALTH_MS = 500;
/** A noisy machine is given so much more for what is measured as time that passes. */
const NOISE = 4;

/**
 * Attacks, and checks afterwards what an attack of any kind must not do.
 *
 * @throws where it costs too much, or leaves something behind
 */
export async function underAttack(
  ground: AttackGround,
  attack: Attack,
  random: SeededRandom,
  ms: number,
): Promise<AttackFigures> {
  const slowness = await ground.gateway.slowness();
  const before = await ground.gateway.usage(true);
  ground.witness.takeP99Ms();
  const beganMs = performance.now();
  let healthMs = 0;
  const asking = setInterval(() => {
    const askedMs = performance.now();
    fetch(`${ground.gateway.url}/health`)
      .then((response) => response.text())
      .then(() => {
        healthMs = Math.max(healthMs, performance.now() - askedMs);
      })
      .catch(() => {});
  }, 250);
  let traffic: Traffic;
  try {
    traffic = await attack.run(ground, random, ms);
  } finally {
    clearInterval(asking);
  }
  const seconds = (performance.now() - beganMs) / 1_000;
  const during = await ground.gateway.usage();
  const p99Ms = ground.witness.takeP99Ms();
  const { liveBytes } = await ground.gateway.usage(true);
  const figures: AttackFigures = {
    ...traffic,
    name: attack.name,
    seconds,
    cpuMs: during.cpuMs - before.cpuMs,
    grownMb: (liveBytes - before.liveBytes) / 1e6,
    rssMb: (during.mostRssBytes - before.mostRssBytes) / 1e6,
    worstStallMs: during.worstStallMs,
    p99Ms,
    healthMs,
  };
  check(attack, figures, slowness);
  if (!attack.leavesNothingWhole) await ground.settle();
  return figures;
}

/** One line for a table. */
export function figuresLine(figures: AttackFigures): string {
  const whole = (value: number, wide: number) => String(Math.round(value)).padStart(wide);
  return [
    figures.name.padEnd(46),
    `${figures.seconds.toFixed(1).padStart(5)} s`,
    `${whole(figures.messages, 7)} messages`,
    `${whole(figures.bytesIn / 1e3, 7)} KB in ${whole(figures.bytesOut / 1e3, 7)} out`,
    `CPU ${whole(figures.cpuMs, 6)} ms`,
    `live ${whole(figures.grownMb, 4)} MB, RSS ${whole(figures.rssMb, 4)} MB`,
    `p99 ${whole(figures.p99Ms, 4)} ms, /health ${whole(figures.healthMs, 4)} ms`,
    ...(figures.core === undefined
      ? []
      : [`at rest ${(100 * figures.core).toFixed(2)} % of a core`]),
  ].join('  ');
}

function check(attack: Attack, figures: AttackFigures, slowness: number): void {
  const { messages, bytesIn, bytesOut, cpuMs, seconds, grownMb, healthMs } = figures;
  const most = (what: string, got: number, bound: number | undefined) => {
    if (bound === undefined || got <= bound) return;
    throw new Error(`${attack.name}: ${what} is ${got.toFixed(1)}, at most ${bound.toFixed(1)}`);
  };
  const { mostCpuMsEach, mostCore, mostAmplification } = attack;
  if (mostCpuMsEach !== undefined) most('CPU, ms', cpuMs, mostCpuMsEach * messages * slowness);
  if (mostCore !== undefined) most('of a core', cpuMs / 1_000 / seconds, mostCore * slowness);
  most('growth, MB', grownMb, attack.mostGrownMb ?? GROWN_MB);
  if (mostAmplification !== undefined)
    most('answer, bytes', bytesOut, mostAmplification * bytesIn + FREE_BYTES * messages);
  most('wait for /health, ms', healthMs, HEALTH_MS * NOISE);
}
