import { createReadStream } from 'node:fs';
import { StringDecoder } from 'node:string_decoder';
import { constants, createGunzip } from 'node:zlib';
import { type Record, readRecord } from './record.ts';
import { recordingFiles } from './recording-files.ts';

/** The longest line that is read, in characters; what is longer was not written by a recorder. */
const MOST_LINE = 16 * 1024 * 1024;

/** Something of a recording that could not be read. */
export interface RecordingFault {
  readonly path: string;
  /** In words. */
  readonly fault: string;
}

/**
 * Reads a recording in the order of its files, some records at a time. A file that is torn is read up to the
 * tear, one that is no recording not at all.
 *
 * @param fromMs leaves out what came before, in epoch milliseconds
 * @param told told of each fault
 * @param only the one file to be read, by its path
 * @throws where the folder cannot be read
 */
export async function* readRecording(
  folder: string,
  fromMs: number,
  told: (fault: RecordingFault) => void,
  only?: string,
): AsyncGenerator<readonly Record[]> {
  const files = recordingFiles(folder);
  for (const [at, { path }] of files.entries()) {
    const next = files[at + 1];
    if (next !== undefined && next.beginsAtMs <= fromMs) continue;
    if (only !== undefined && path !== only) continue;
    for await (const records of readFile(path, told)) {
      const wanted = records.filter(({ atMs }) => atMs >= fromMs);
      if (wanted.length > 0) yield wanted;
    }
  }
}

async function* readFile(
  path: string,
  told: (fault: RecordingFault) => void,
): AsyncGenerator<Record[]> {
  const decoder = new StringDecoder('utf8');
  const file = createReadStream(path);
  // What there is of a member that was not written to its end is read.
  const unzipped = createGunzip({ finishFlush: constants.Z_SYNC_FLUSH });
  file.on('error', (error) => unzipped.destroy(error));
  let rest = '';
  let unread = 0;
  try {
    for await (const chunk of file.pipe(unzipped)) {
      const lines = (rest + decoder.write(chunk as Buffer)).split('\n');
      rest = lines.pop() ?? '';
      if (rest.length > MOST_LINE) throw new Error('a line is too long for a recording');
      const records: Record[] = [];
      for (const line of lines) {
        const record = readRecord(line);
        if (record === undefined) unread++;
        else records.push(record);
      }
      yield records;
    }
  } catch (error) {
    told({ path, fault: `it is torn, or no recording: ${(error as Error).message}` });
  } finally {
    file.destroy();
    unzipped.destroy();
  }
  if (rest !== '') told({ path, fault: 'it is torn: its last record is not whole' });
  if (unread > 0) told({ path, fault: `${unread} lines are no records` });
}
