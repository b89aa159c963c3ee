/**
 * The little of Python's expressions that os-ken's test patterns use for packets: calls with positional and
 * keyword arguments, dotted names, integers, strings, bytes, lists, and + - * ** & with Python's precedence.
 * Nothing is executed that is not in the table of functions given.
 */

/** Integers are bigints, as Python's have no limit. */
export type Value = bigint | string | Uint8Array | Value[] | object;

export interface Arguments {
  readonly positional: readonly Value[];
  readonly keyword: Readonly<Record<string, Value>>;
}

export type Functions = Readonly<Record<string, (args: Arguments) => Value>>;

export type Expression =
  | { kind: 'literal'; value: Value }
  | { kind: 'list'; items: Expression[] }
  | { kind: 'negative'; operand: Expression }
  | { kind: 'binary'; operator: string; left: Expression; right: Expression }
  | { kind: 'call'; name: string; positional: Expression[]; keyword: Record<string, Expression> };

export class ExpressionError extends Error {
  readonly code = 'FC_CONFORMANCE_EXPRESSION';

  constructor(message: string) {
    super(message);
    this.name = 'ExpressionError';
  }
}

interface Token {
  kind: 'number' | 'string' | 'bytes' | 'name' | 'punctuation';
  text: string;
}

const TOKEN =
  /\s*(?:(?<number>0x[0-9a-f]+|\d+)|(?<bytes>b(?:'(?:\\.|[^'\\])*'|"(?:\\.|[^"\\])*"))|(?<string>'(?:\\.|[^'\\])*'|"(?:\\.|[^"\\])*")|(?<name>[A-Za-z_]\w*)|(?<punctuation>\*\*|[()[\],.=+\-*&]))/iy;

function tokens(text: string): Token[] {
  const found: Token[] = [];
  const pattern = new RegExp(TOKEN);
  const end = text.trimEnd().length;
  while (pattern.lastIndex < end) {
    const at = pattern.lastIndex;
    const groups = pattern.exec(text)?.groups;
    const kind = (['number', 'bytes', 'string', 'name', 'punctuation'] as const).find((one) => groups?.[one]);
    if (groups === undefined || kind === undefined) {
      throw new ExpressionError(`cannot read '${text.slice(at, at + 20)}' in ${text}`);
    }
    found.push({ kind, text: groups[kind] });
  }
  return found;
}

const ESCAPES: Readonly<Record<string, string>> = { n: '\n', r: '\r', t: '\t', '0': '\0' };

/** The characters of a quoted literal, escapes resolved; for bytes each is one byte. */
function unquote(literal: string): string {
  return literal
    .slice(1, -1)
    .replace(/\\(?:x([0-9a-fA-F]{2})|(.))/g, (_, hex: string | undefined, character: string) =>
      hex === undefined ? (ESCAPES[character] ?? character) : String.fromCharCode(Number.parseInt(hex, 16)),
    );
}

/** Binary operators by precedence, loosest first; ** binds tighter than a sign and is parsed apart. */
const LEVELS: readonly (readonly string[])[] = [['&'], ['+', '-'], ['*']];

class Parser {
  readonly #tokens: Token[];
  readonly #text: string;
  #at = 0;

  constructor(text: string) {
    this.#text = text;
    this.#tokens = tokens(text);
  }

  whole(): Expression {
    const expression = this.#binary(0);
    if (this.#at < this.#tokens.length) this.#fail();
    return expression;
  }

  #fail(): never {
    const found = this.#tokens[this.#at]?.text ?? 'the end';
    throw new ExpressionError(`did not expect ${found} in ${this.#text}`);
  }

  #is(text: string, ahead = 0): boolean {
    const token = this.#tokens[this.#at + ahead];
    return token?.kind === 'punctuation' && token.text === text;
  }

  #take(text: string): boolean {
    if (!this.#is(text)) return false;
    this.#at++;
    return true;
  }

  #expect(text: string): void {
    if (!this.#take(text)) this.#fail();
  }

  #binary(level: number): Expression {
    if (level === LEVELS.length) return this.#unary();
    let left = this.#binary(level + 1);
    for (;;) {
      const operator = LEVELS[level].find((one) => this.#take(one));
      if (operator === undefined) return left;
      left = { kind: 'binary', operator, left, right: this.#binary(level + 1) };
    }
  }

  #unary(): Expression {
    if (this.#take('-')) return { kind: 'negative', operand: this.#unary() };
    const left = this.#primary();
    return this.#take('**') ? { kind: 'binary', operator: '**', left, right: this.#unary() } : left;
  }

  #primary(): Expression {
    if (this.#take('(')) {
      const inner = this.#binary(0);
      this.#expect(')');
      return inner;
    }
    if (this.#take('[')) return { kind: 'list', items: this.#separated(']', () => this.#binary(0)) };
    const token = this.#tokens[this.#at];
    if (token === undefined || token.kind === 'punctuation') this.#fail();
    this.#at++;
    switch (token.kind) {
      case 'number':
        return { kind: 'literal', value: BigInt(token.text) };
      case 'string':
        return { kind: 'literal', value: unquote(token.text) };
      case 'bytes':
        return {
          kind: 'literal',
          value: Uint8Array.from(Buffer.from(unquote(token.text.slice(1)), 'latin1')),
        };
      default:
        return this.#call(token.text);
    }
  }

  #call(first: string): Expression {
    let name = first;
    while (this.#take('.')) {
      const part = this.#tokens[this.#at++];
      if (part?.kind !== 'name') this.#fail();
      name += `.${part.text}`;
    }
    this.#expect('(');
    const positional: Expression[] = [];
    const keyword: Record<string, Expression> = {};
    this.#separated(')', () => {
      const token = this.#tokens[this.#at];
      if (token?.kind === 'name' && this.#is('=', 1)) {
        this.#at += 2;
        keyword[token.text] = this.#binary(0);
      } else {
        positional.push(this.#binary(0));
      }
    });
    return { kind: 'call', name, positional, keyword };
  }

  #separated<T>(close: string, item: () => T): T[] {
    const items: T[] = [];
    while (!this.#take(close)) {
      items.push(item());
      if (!this.#is(close)) this.#expect(',');
    }
    return items;
  }
}

/** Throws ExpressionError. */
export function parse(text: string): Expression {
  return new Parser(text).whole();
}

/** Throws ExpressionError for functions that are not in the table and operands that do not go together. */
export function evaluate(expression: Expression, functions: Functions): Value {
  switch (expression.kind) {
    case 'literal':
      return expression.value;
    case 'list':
      return expression.items.map((item) => evaluate(item, functions));
    case 'negative':
      return -integer(evaluate(expression.operand, functions));
    case 'call': {
      if (!Object.hasOwn(functions, expression.name)) {
        throw new ExpressionError(`there is no function ${expression.name}`);
      }
      const keyword = Object.entries(expression.keyword).map(([name, one]) => [
        name,
        evaluate(one, functions),
      ]);
      return functions[expression.name]({
        positional: expression.positional.map((one) => evaluate(one, functions)),
        keyword: Object.fromEntries(keyword),
      });
    }
    case 'binary':
      return combine(
        expression.operator,
        evaluate(expression.left, functions),
        evaluate(expression.right, functions),
      );
  }
}

function combine(operator: string, left: Value, right: Value): Value {
  if (operator === '*' && left instanceof Uint8Array) {
    const times = Number(integer(right));
    return Uint8Array.from({ length: left.length * Math.max(0, times) }, (_, i) => left[i % left.length]);
  }
  const a = integer(left);
  const b = integer(right);
  switch (operator) {
    case '+':
      return a + b;
    case '-':
      return a - b;
    case '*':
      return a * b;
    case '**':
      return a ** b;
    default:
      return a & b;
  }
}

export function integer(value: Value): bigint {
  if (typeof value !== 'bigint') throw new ExpressionError(`expected an integer, not ${String(value)}`);
  return value;
}
