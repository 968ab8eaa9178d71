// What stands inside a paragraph of Markdown: emphasis, code, links. After CommonMark 0.31, section 6:
// marks are kept on a stack and paired from the inside out, so that a hostile text takes no longer.

export type Inline =
  | string
  | { kind: "strong" | "em" | "del"; text: Inline[] }
  | { kind: "link"; href: string; text: Inline[] }
  | { kind: "code"; text: string }
  | { kind: "break" };

/** A run of marks that may open or close something. */
interface Mark {
  sign: string;
  count: number;
  opens: boolean;
  closes: boolean;
  /** Where in the list of parts it stands. */
  at: number;
}

const PUNCTUATION = /[!-/:-@[-`{-~]/;
const SPECIAL = /[\\`*_~[\]!<\n&]|https?:\/\//g;
const PLAIN_LINK = /^https?:\/\/[^\s<]+/;
const ANGLED = /^<((?:https?:\/\/|mailto:)[^\s<>]*)>/;
const TARGET = /^\(\s{0,9}(?:<([^<>\n]*)>|((?:[^\s()\\]|\\.|\([^\s()]*\))*))(?:\s{1,9}(?:"[^"]*"|'[^']*'))?\s{0,9}\)/;
const ENTITIES: Record<string, string> = { amp: "&", lt: "<", gt: ">", quot: '"', apos: "'", nbsp: "\u00a0", copy: "©", hellip: "…", mdash: "—", ndash: "–", times: "×", rarr: "→" };

export function inlineOf(text: string): Inline[] {
  return new Scanner(text).read();
}

class Scanner {
  private at = 0;
  private parts: Inline[] = [];
  private marks: Mark[] = [];
  private brackets: { part: number; marks: number; end: number }[] = [];
  private readonly unclosed = new Set<number>(); // lengths of backtick runs that nothing closes

  constructor(private readonly text: string) {}

  read(): Inline[] {
    while (this.at < this.text.length) {
      SPECIAL.lastIndex = this.at;
      const next = SPECIAL.exec(this.text)?.index ?? this.text.length;
      const said = this.text.slice(this.at, next);
      this.say(this.text[next] === "\n" ? said.trimEnd() : said);
      this.at = next;
      if (next < this.text.length) this.special(this.text[next] ?? "");
    }
    this.pair(0);
    return this.parts.filter((part) => part !== "");
  }

  private say(text: string): void {
    const last = this.parts.length - 1;
    const before = this.parts[last];
    const isMark = this.marks[this.marks.length - 1]?.at === last || this.brackets[this.brackets.length - 1]?.part === last;
    if (typeof before === "string" && !isMark) this.parts[last] = before + text;
    else if (text) this.parts.push(text);
  }

  private special(sign: string): void {
    switch (sign) {
      case "\\": return this.escaped();
      case "`": return this.code();
      case "*": case "_": case "~": return this.mark(sign);
      case "[": return this.open(1);
      case "!": return this.text[this.at + 1] === "[" ? this.open(2) : this.take(1);
      case "]": return this.close();
      case "<": return this.match(ANGLED);
      case "h": return this.match(PLAIN_LINK);
      case "&": return this.entity();
      default: return this.newline();
    }
  }

  private take(length: number): void {
    this.say(this.text.slice(this.at, this.at + length));
    this.at += length;
  }

  private escaped(): void {
    const next = this.text[this.at + 1] ?? "";
    if (next === "\n") this.parts.push({ kind: "break" });
    else if (PUNCTUATION.test(next)) this.say(next);
    else return this.take(1);
    this.at += 2;
  }

  private newline(): void {
    if (this.text.slice(this.at - 2, this.at) === "  ") this.parts.push({ kind: "break" });
    else this.say("\n");
    this.at += 1;
  }

  private code(): void {
    const run = /^`+/.exec(this.text.slice(this.at, this.at + 1000))?.[0] ?? "`";
    const from = this.at + run.length;
    for (let end = this.unclosed.has(run.length) ? -1 : this.text.indexOf(run, from); end >= 0; end = this.text.indexOf(run, end)) {
      let last = end + run.length;
      while (this.text[last] === "`") last += 1;
      if (last - end === run.length) return this.coded(from, end, last);
      end = last;
    }
    this.unclosed.add(run.length);
    this.take(run.length);
  }

  private coded(from: number, end: number, last: number): void {
    const inside = this.text.slice(from, end).replaceAll("\n", " ");
    const isPadded = inside.startsWith(" ") && inside.endsWith(" ") && inside.trim() !== "";
    const text = isPadded ? inside.slice(1, -1) : inside;
    this.parts.push({ kind: "code", text });
    this.at = last;
  }

  /** Take a link that is written as what it is. */
  private match(pattern: RegExp): void {
    const found = pattern.exec(this.text.slice(this.at, this.at + 2000));
    if (!found || (pattern === PLAIN_LINK && this.brackets.length)) return this.take(1);
    const whole = pattern === PLAIN_LINK ? trimmed(found[0]) : found[0];
    const href = found[1] ?? whole;
    this.parts.push({ kind: "link", href, text: [href] });
    this.at += whole.length;
  }

  private entity(): void {
    const [whole, number, name] = /^&(?:#(\d{1,7})|([a-z]{2,6}));/.exec(this.text.slice(this.at, this.at + 10)) ?? [];
    const said = number ? character(Number(number)) : ENTITIES[name ?? ""];
    if (!whole || said === undefined) return this.take(1);
    this.say(said);
    this.at += whole.length;
  }

  private open(length: number): void {
    this.parts.push(this.text.slice(this.at, this.at + length));
    this.brackets.push({ part: this.parts.length - 1, marks: this.marks.length, end: this.at + length });
    this.at += length;
  }

  /** At a closing bracket: a link, if an address follows. What stood in it is its text. */
  private close(): void {
    const bracket = this.brackets.pop();
    const target = bracket && TARGET.exec(this.text.slice(this.at + 1, this.at + 2001));
    if (!bracket || !target) return this.take(1);
    this.pair(bracket.marks);
    const text = this.parts.splice(bracket.part).slice(1).filter((part) => part !== "");
    const href = (target[1] ?? target[2] ?? "").replace(/\\([!-/:-@[-`{-~])/g, "$1");
    this.parts.push({ kind: "link", href, text: text.length ? text : [href] });
    this.brackets = []; // a link stands in no other
    this.at += 1 + target[0].length;
  }

  private mark(sign: string): void {
    let end = this.at;
    while (this.text[end] === sign) end += 1;
    const count = end - this.at;
    const [opens, closes] = flanks(sign, this.text[this.at - 1] ?? " ", this.text[end] ?? " ");
    if (sign === "~" && count !== 2) return this.take(count);
    this.parts.push(this.text.slice(this.at, end));
    this.marks.push({ sign, count, opens, closes, at: this.parts.length - 1 });
    this.at = end;
  }

  /** Pair the marks from *bottom* on: each that closes with the nearest that opens. */
  private pair(bottom: number): void {
    const open: Mark[] = [];
    for (const mark of this.marks.splice(bottom)) {
      while (mark.closes && mark.count) {
        const n = open.findLastIndex((each) => each.sign === mark.sign && fits(each, mark));
        const opener = open[n];
        if (!opener) break;
        open.length = n + 1;
        this.wrap(opener, mark);
        if (!opener.count) open.pop();
      }
      if (mark.opens && mark.count) open.push(mark);
      if (open.length > 100) open.shift(); // nobody writes so; a hostile text may
    }
  }

  private wrap(opener: Mark, closer: Mark): void {
    const both = opener.count >= 2 && closer.count >= 2;
    const used = both ? 2 : 1;
    const kind = opener.sign === "~" ? "del" : both ? "strong" : "em";
    const inside: Inline[] = [];
    for (let n = opener.at + 1; n < closer.at; n += 1) {
      const part = this.parts[n];
      if (part !== undefined && part !== "") inside.push(part);
      this.parts[n] = "";
    }
    opener.count -= used;
    closer.count -= used;
    this.parts[opener.at] = opener.sign.repeat(opener.count);
    this.parts[closer.at] = closer.sign.repeat(closer.count);
    this.parts[opener.at + 1] = { kind, text: inside };
  }
}

/** Return whether a run of marks may open and may close (CommonMark 6.2: flanking). */
function flanks(sign: string, before: string, after: string): [boolean, boolean] {
  const [spaceBefore, spaceAfter] = [/\s/.test(before), /\s/.test(after)];
  const [signBefore, signAfter] = [/[\p{P}\p{S}]/u.test(before), /[\p{P}\p{S}]/u.test(after)];
  const left = !spaceAfter && (!signAfter || spaceBefore || signBefore);
  const right = !spaceBefore && (!signBefore || spaceAfter || signAfter);
  if (sign !== "_") return [left, right];
  return [left && (!right || signBefore), right && (!left || signAfter)];
}

/** The rule of three: a run that both opens and closes pairs only with counts that fit. */
function fits(opener: Mark, closer: Mark): boolean {
  if (!opener.closes && !closer.opens) return true;
  return (opener.count + closer.count) % 3 !== 0 || (opener.count % 3 === 0 && closer.count % 3 === 0);
}

/** What ends a sentence does not belong to the link before it, nor a bracket that opened before it. */
function trimmed(link: string): string {
  let end = link.length;
  let extra = link.split(")").length - link.split("(").length;
  for (; end > 0; end -= 1) {
    const last = link[end - 1] ?? "";
    if (last === ")" && extra > 0) extra -= 1;
    else if (!"?!.,:*_~'\"".includes(last)) break;
  }
  return link.slice(0, end);
}

function character(code: number): string {
  return code > 0 && code <= 0x10ffff && !(code >= 0xd800 && code < 0xe000) ? String.fromCodePoint(code) : "\ufffd";
}
