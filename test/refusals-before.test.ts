import { refusalSuite } from './kit/refusal-suite.ts';

refusalSuite('before');
