import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { describe, expect, test } from 'vitest';

/**
 * The floors of the house, the highest first. A room may import rooms of floors below its own, and
 * nothing of its own floor but itself.
 */
const FLOORS: readonly (readonly string[])[] = [
  ['.'],
  ['app'],
  [
    'http',
    'websocket',
    'relay',
    'recording',
    'simulator',
    'ime',
    'cluster',
    'workers',
    'workers/places',
    'workers/crew',
  ],
  ['connections'],
  ['pages', 'operation', 'listener', 'ime/refusals'],
  ['fanout', 'render', 'documents', 'updates', 'ime/pool'],
  ['schema', 'ime/sockets', 'cluster/redis', 'workers/link'],
  ['ime/credentials', 'schema/errors', 'access/tokens'],
  ['access', 'hub'],
  ['config', 'ime/protocol', 'access/usage'],
  ['contract', 'observability'],
  ['lib'],
];
/** Built for browsers: no part of the gateway. */
const APART = ['board', 'watch'];
/** Where rooms know less than their floor would let them. */
const NEVER: Readonly<Record<string, readonly string[]>> = {
  operation: ['fanout', 'ime', 'config'],
  listener: ['fanout', 'render', 'schema', 'hub', 'ime'],
  documents: ['hub', 'ime', 'config'],
  fanout: ['render', 'schema', 'access', 'config'],
  updates: ['schema', 'access', 'ime', 'config'],
  hub: ['config', 'access'],
  cluster: ['access', 'schema', 'operation', 'render', 'fanout', 'updates', 'pages', 'listener'],
  schema: ['ime', 'config', 'cluster'],
  http: ['ime', 'websocket'],
  websocket: ['ime', 'http', 'config'],
  connections: ['ime', 'config', 'listener', 'pages'],
  relay: ['ime/pool', 'ime/sockets', 'ime/refusals', 'ime/credentials', 'config', 'pages'],
  render: ['ime', 'access', 'config'],
  recording: ['access', 'ime/pool', 'ime/sockets', 'ime/refusals', 'ime/credentials'],
  simulator: ['hub', 'access', 'schema', 'operation', 'render', 'fanout', 'pages'],
};
const MOST_ROOM_LINES = 1_500;
const MOST_FILE_LINES = 300;

interface SourceFile {
  readonly path: string;
  readonly room: string;
  readonly lines: number;
  readonly imports: readonly string[];
}

function sourceFiles(): SourceFile[] {
  return readdirSync('src', { recursive: true, encoding: 'utf8' })
    .filter((path) => /\.tsx?$/.test(path))
    .map((path) => {
      const text = readFileSync(join('src', path), 'utf8');
      const imports = [...text.matchAll(/(?:from|import)\s*\(?\s*'(\.{1,2}\/[^']+\.tsx?)'/g)].map(
        ([, target = '']) => join(dirname(path), target),
      );
      return { path, room: dirname(path), lines: text.split('\n').length - 1, imports };
    });
}

const files = sourceFiles();
const rooms = [...new Set(files.map(({ room }) => room))];
const floorOf = (room: string) => FLOORS.findIndex((floor) => floor.includes(room));

describe('the house', () => {
  test('has a floor for every room', () => {
    expect(rooms.filter((room) => !APART.includes(room) && floorOf(room) === -1)).toEqual([]);
    expect(files.length).toBeGreaterThan(100);
  });

  test('has no import that goes up, or across a floor', () => {
    const wrong = files.flatMap(({ path, room, imports }) =>
      imports
        .filter((target) => {
          const other = dirname(target);
          if (other === room) return false;
          if (APART.includes(room) || APART.includes(other)) return true;
          const isForbidden = (NEVER[room] ?? []).some(
            (never) => other === never || other.startsWith(`${never}/`),
          );
          // The simulator speaks IME's own words.
          return isForbidden || floorOf(other) <= floorOf(room);
        })
        .map((target) => `${path} -> ${target}`),
    );
    expect(wrong).toEqual([]);
  });

  test('has no circle of files', () => {
    const byPath = new Map(files.map((file) => [file.path, file]));
    const done = new Set<string>();
    const circles: string[] = [];
    const visit = (path: string, trail: readonly string[]) => {
      if (trail.includes(path)) {
        circles.push([...trail.slice(trail.indexOf(path)), path].join(' -> '));
        return;
      }
      if (done.has(path)) return;
      for (const target of byPath.get(path)?.imports ?? []) visit(target, [...trail, path]);
      done.add(path);
    };
    for (const { path } of files) visit(path, []);
    expect(circles).toEqual([]);
  });

  test(`has no room above ${MOST_ROOM_LINES} lines and no file above ${MOST_FILE_LINES}`, () => {
    const large = rooms
      .filter((room) => !APART.includes(room))
      .map((room) => {
        const own = files.filter((file) => file.room === room);
        return { room, lines: own.reduce((sum, { lines }) => sum + lines, 0) };
      })
      .filter(({ lines }) => lines > MOST_ROOM_LINES);
    expect(large).toEqual([]);
    const long = files.filter(({ lines }) => lines > MOST_FILE_LINES);
    expect(long.map(({ path, lines }) => `${path}: ${lines}`)).toEqual([]);
  });

  test('says in each room what may be in it and what it may import', () => {
    for (const room of rooms.filter((name) => name !== '.')) {
      const text = readFileSync(join('src', room, 'README.md'), 'utf8');
      expect(text, room).toMatch(/^# /);
      expect(text, room).toMatch(/May import: [\w`]/);
    }
  });
});

test('whoever wants to change something finds what to open', () => {
  const text = readFileSync('docs/architecture.md', 'utf8');
  const table = text.slice(
    text.indexOf('| I want to change'),
    text.indexOf('\n\n', text.indexOf('| I want to change')),
  );
  const rows = table.split('\n').slice(2);
  expect(rows.length).toBeGreaterThanOrEqual(15);
  for (const row of rows) {
    const paths = [...row.matchAll(/`([\w./-]+)`/g)].map(([, path = '']) => path);
    expect(paths.length, row).toBeGreaterThan(0);
    for (const path of paths) expect(existsSync(path), `${path} in ${row}`).toBe(true);
  }
});
