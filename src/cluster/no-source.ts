import type { SourceReport } from '../hub/source.ts';

/** What a gateway reports that has no upstream of its own. */
export const NO_SOURCE: SourceReport = {
  sockets: [],
  dials: 0,
  counts: {
    messages: 0,
    partialMessages: 0,
    missingFields: 0,
    duplicates: 0,
    lateMessages: 0,
    droppedFrames: {},
    failures: {},
  },
  credentials: null,
  problems: [],
};
