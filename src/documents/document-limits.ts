import {
  type ASTVisitor,
  BREAK,
  type DefinitionNode,
  type DocumentNode,
  type FragmentDefinitionNode,
  type GraphQLError,
  Kind,
  type SelectionSetNode,
  type ValidationContext,
  type ValidationRule,
  visit,
} from 'graphql';
import { codedError } from '../schema/errors/coded-error.ts';

/** How large a document may be. */
export interface DocumentLimits {
  readonly depth: number;
  readonly tokens: number;
  readonly aliases: number;
  /** Whether the schema can be asked for. */
  readonly introspection: boolean;
}

/** The most characters of a name, an alias, an operation's name and an operation's ID. */
export const MOST_NAME_CHARACTERS = 256;

/**
 * How often fields of equal response keys may be compared with each other: whether they can be merged is
 * found out pair by pair, at up to a microsecond for each.
 */
const MOST_COMPARISONS = 20_000;

/**
 * The error of a document with too many fields of equal response keys; `undefined` where it has not. Who allows
 * many aliases allows what is selected below each of them.
 */
export function tooManyEqualFields(
  document: DocumentNode,
  { aliases }: DocumentLimits,
): GraphQLError | undefined {
  const most = Math.max(MOST_COMPARISONS, 4 * aliases ** 2);
  const counts = new Map<string, number>();
  let comparisons = 0;
  visit(document, {
    Field({ alias, name }) {
      const key = (alias ?? name).value;
      const count = counts.get(key) ?? 0;
      counts.set(key, count + 1);
      // The sum of these is the square of how many there are.
      comparisons += 2 * count + 1;
      return comparisons > most ? BREAK : undefined;
    },
  });
  if (comparisons <= most) return undefined;
  return codedError('QUERY_TOO_COMPLEX', 'expected fewer fields of the same name');
}

/** The error of a document with a name that is too long; `undefined` where none is. */
export function longName(document: DocumentNode): GraphQLError | undefined {
  let longest = 0;
  visit(document, {
    Name({ value }) {
      longest = value.length;
      return longest > MOST_NAME_CHARACTERS ? BREAK : undefined;
    },
  });
  if (longest <= MOST_NAME_CHARACTERS) return undefined;
  const message = `expected names and aliases of at most ${MOST_NAME_CHARACTERS} characters, got one of ${longest}`;
  return codedError('BAD_USER_INPUT', message);
}

/** A rule that finds fault with documents that are too deep or have too many aliases. */
export function sizeRule({ depth, aliases }: DocumentLimits): ValidationRule {
  return (context: ValidationContext): ASTVisitor => ({
    Document(document) {
      const fragments = new Map(document.definitions.flatMap(namedFragment));
      let aliased = 0;
      let deepest = 0;
      for (const definition of document.definitions) {
        if (!('selectionSet' in definition)) continue;
        aliased += aliasesIn(definition.selectionSet);
        if (definition.kind === Kind.OPERATION_DEFINITION) {
          deepest = Math.max(deepest, depthOf(definition.selectionSet, fragments, new Map()));
        }
      }
      if (deepest > depth)
        report(`expected a document at most ${depth} levels deep, got ${deepest}`);
      if (aliased > aliases) report(`expected at most ${aliases} aliases, got ${aliased}`);

      function report(message: string) {
        context.reportError(codedError('QUERY_TOO_COMPLEX', message));
      }
    },
  });
}

function namedFragment(definition: DefinitionNode): [string, FragmentDefinitionNode][] {
  if (definition.kind !== Kind.FRAGMENT_DEFINITION) return [];
  return [[definition.name.value, definition]];
}

function aliasesIn({ selections }: SelectionSetNode): number {
  let count = 0;
  for (const selection of selections) {
    if (selection.kind === Kind.FIELD && selection.alias !== undefined) count++;
    if ('selectionSet' in selection && selection.selectionSet !== undefined) {
      count += aliasesIn(selection.selectionSet);
    }
  }
  return count;
}

/**
 * How many fields stand below each other. What asks for the schema is left out: graphql-js bounds that
 * itself, and tools ask for it more deeply than anything else needs.
 */
function depthOf(
  { selections }: SelectionSetNode,
  fragments: ReadonlyMap<string, FragmentDefinitionNode>,
  known: Map<string, number>,
): number {
  let deepest = 0;
  for (const selection of selections) {
    let depth = 0;
    if (selection.kind === Kind.FRAGMENT_SPREAD) {
      const name = selection.name.value;
      const fragment = fragments.get(name);
      if (!known.has(name) && fragment !== undefined) {
        // A fragment that spreads itself counts as nothing inside of itself: another rule refuses it.
        known.set(name, 0);
        known.set(name, depthOf(fragment.selectionSet, fragments, known));
      }
      depth = known.get(name) ?? 0;
    } else if (selection.kind === Kind.INLINE_FRAGMENT) {
      depth = depthOf(selection.selectionSet, fragments, known);
    } else if (!selection.name.value.startsWith('__')) {
      const below = selection.selectionSet;
      depth = 1 + (below === undefined ? 0 : depthOf(below, fragments, known));
    }
    deepest = Math.max(deepest, depth);
  }
  return deepest;
}
