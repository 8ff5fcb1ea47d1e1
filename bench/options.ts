import { parseArgs } from 'node:util';

const { values } = parseArgs({
  options: {
    rounds: { type: 'string', default: '3' },
    only: { type: 'string', default: '' },
    previous: { type: 'string' },
    node: { type: 'string', multiple: true, default: [process.execPath] },
  },
});

/** How often everything is measured. */
export const rounds = Number(values.rounds);

/** Part of the titles of the rows to measure, in lower case. */
export const only = values.only.toLowerCase();

/**
 * The folder of another build of the gateway, with its `dist` and `node_modules`, to be measured beside this
 * one; then only it, this one and the relay are.
 */
export const previous = values.previous;

/** The Nodes that run the servers under test, one after the other; they are shown beside each other. */
export const nodes = values.node;
