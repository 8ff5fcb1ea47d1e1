import type { Principal } from '../access/principal.ts';
import { builder } from './builder.ts';
import { badUserInput } from './errors/coded-error.ts';

const AuthorizationType = builder.objectRef<Principal>('Authorization').implement({
  description: 'Who a connection is used by, and what they may.',
  fields: (t) => ({
    principal: t.exposeString('id', {
      nullable: false,
      description: 'Who: the subject of the token, or the label of the API key.',
    }),
    contracts: t.stringList({
      nullable: false,
      description: 'Patterns of the contracts that may be seen.',
      resolve: ({ contracts }) => [...contracts.texts],
    }),
    expiresAt: t.expose('expiresAtMs', {
      type: 'DateTime',
      nullable: true,
      description: 'When the connection is closed unless it is renewed before; null: never.',
    }),
    operator: t.exposeBoolean('operator', {
      nullable: false,
      description: "Whether the gateway's own details may be seen.",
    }),
  }),
});

builder.mutationType({
  description: 'What a client may change: nothing but its own authorization.',
  fields: (t) => ({
    renewAuthorization: t.field({
      type: AuthorizationType,
      nullable: false,
      description:
        'Shows another token of the same principal, in force for this WebSocket connection and its subscriptions from now on. Over HTTP each request shows its own token instead.',
      args: {
        token: t.arg.string({ required: true, description: 'The new token, without `Bearer`.' }),
      },
      resolve: (_root, { token }, { access, principal, renewer }) => {
        if (access.open) return principal;
        if (renewer !== undefined) return renewer.renew(token);
        throw badUserInput('token', 'expected to be renewed over a WebSocket, got an HTTP request');
      },
    }),
  }),
});
