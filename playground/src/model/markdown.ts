// Markdown to a tree, and nothing of its HTML: what CommonMark 0.31 and GFM's tables, strikethrough
// and plain links say, without reference links, setext headings inside quotes and HTML blocks.

import { type Inline, inlineOf } from "./inline";

export type Block =
  | { kind: "heading"; depth: number; text: Inline[] }
  | { kind: "paragraph"; text: Inline[] }
  | { kind: "code"; text: string }
  | { kind: "quote"; blocks: Block[] }
  | { kind: "list"; start: number | null; items: Block[][]; tight: boolean }
  | { kind: "table"; header: Inline[][]; rows: Inline[][][] }
  | { kind: "rule" };

const MOST = 500_000; // characters
const DEEPEST = 12; // quotes and lists in one another; what lies deeper is shown as text

const FENCE = /^ {0,3}(`{3,}|~{3,})[^`]*$/;
const HEADING = /^ {0,3}(#{1,6})(?:[ \t]+(.*))?$/;
const RULE = /^ {0,3}(?:(?:\*[ \t]*){3,}|(?:-[ \t]*){3,}|(?:_[ \t]*){3,})$/;
const ITEM = /^( {0,3})([-*+]|\d{1,9}[.)])(?:( +)(?=\S)|(?=\s*$))/;
const QUOTE = /^ {0,3}> ?/;
const DELIMITERS = /^ {0,3}\|?[ \t]*:?-+:?[ \t]*(?:\|[ \t]*:?-+:?[ \t]*)*\|?[ \t]*$/;
const UNDERLINE = /^ {0,3}(?:=+|-+)[ \t]*$/;

export function blocksOf(text: string): Block[] {
  return new Reader(text.slice(0, MOST).replace(/\r\n?/g, "\n").split("\n").map(withoutTabs), 0).read();
}

class Reader {
  private at = 0;
  private paragraph: string[] = [];
  private readonly blocks: Block[] = [];

  constructor(private readonly lines: string[], private readonly depth: number) {}

  read(): Block[] {
    while (this.at < this.lines.length) {
      const line = this.line();
      if (this.isStart(line)) this.start(line);
      else if (/^ {4}/.test(line) && !this.paragraph.length) this.indented();
      else this.continued(line);
    }
    this.close();
    return this.blocks;
  }

  private line(at = this.at): string {
    return this.lines[at] ?? "";
  }

  /** Return whether something other than more of a paragraph begins here. */
  private isStart(line: string): boolean {
    if (isBlank(line) || FENCE.test(line) || HEADING.test(line)) return true;
    if (this.paragraph.length && UNDERLINE.test(line)) return true;
    if (RULE.test(line)) return true;
    if (this.depth < DEEPEST && (QUOTE.test(line) || this.isItem(line))) return true;
    return this.isTable(line);
  }

  /** A list may break a paragraph off when its first item says something, and counts from one. */
  private isItem(line: string): boolean {
    const item = ITEM.exec(line);
    if (!item) return false;
    return !this.paragraph.length || (item[3] !== undefined && (!/\d/.test(item[2] ?? "") || /^1[.)]/.test(item[2] ?? "")));
  }

  private isTable(line: string): boolean {
    const below = this.line(this.at + 1);
    return line.includes("|") && DELIMITERS.test(below) && cellsOf(line).length === cellsOf(below).length;
  }

  private start(line: string): void {
    const underlined = this.paragraph.length && UNDERLINE.exec(line);
    if (underlined) return this.setext(line.trim().startsWith("=") ? 1 : 2);
    this.close();
    const heading = HEADING.exec(line);
    if (isBlank(line)) this.at += 1;
    else if (FENCE.test(line)) this.fenced(line);
    else if (heading) this.add({ kind: "heading", depth: heading[1]?.length ?? 1, text: inlineOf(withoutClosing(heading[2] ?? "")) });
    else if (RULE.test(line)) this.add({ kind: "rule" });
    else if (QUOTE.test(line)) this.quote();
    else if (ITEM.test(line)) this.list();
    else this.table();
  }

  private add(block: Block): void {
    this.blocks.push(block);
    this.at += 1;
  }

  private continued(line: string): void {
    this.paragraph.push(line);
    this.at += 1;
  }

  private close(): void {
    const text = this.paragraph.map((line) => line.trimStart()).join("\n").trimEnd();
    if (text) this.blocks.push({ kind: "paragraph", text: inlineOf(text) });
    this.paragraph = [];
  }

  private setext(depth: number): void {
    const text = inlineOf(this.paragraph.map((line) => line.trim()).join("\n"));
    this.paragraph = [];
    this.add({ kind: "heading", depth, text });
  }

  private fenced(line: string): void {
    const fence = FENCE.exec(line)?.[1] ?? "```";
    const indent = line.search(/\S/);
    const end = new RegExp(`^ {0,3}${fence[0] === "~" ? "~" : "`"}{${fence.length},} *$`);
    const margin = new RegExp(`^ {0,${indent}}`);
    const kept: string[] = [];
    this.at += 1;
    for (; this.at < this.lines.length && !end.test(this.line()); this.at += 1) kept.push(this.line().replace(margin, ""));
    this.add({ kind: "code", text: kept.join("\n") });
  }

  private indented(): void {
    const kept: string[] = [];
    while (this.at < this.lines.length && (/^ {4}/.test(this.line()) || isBlank(this.line()))) {
      kept.push(this.line().slice(4));
      this.at += 1;
    }
    this.blocks.push({ kind: "code", text: kept.join("\n").trimEnd() });
  }

  private quote(): void {
    const kept: string[] = [];
    let goesOn = false; // a paragraph in a quote may go on without its mark
    while (this.at < this.lines.length) {
      const line = this.line();
      const isMarked = QUOTE.test(line);
      if (!isMarked && (!goesOn || this.isStart(line))) break;
      kept.push(line.replace(QUOTE, ""));
      goesOn = isMarked ? isProse(kept[kept.length - 1] ?? "") : true;
      this.at += 1;
    }
    this.blocks.push({ kind: "quote", blocks: new Reader(kept, this.depth + 1).read() });
  }

  private list(): void {
    const mark = markOf(this.line());
    const number = Number.parseInt(ITEM.exec(this.line())?.[2] ?? "", 10);
    const items: Block[][] = [];
    let tight = true;
    for (;;) {
      const { lines, isLoose } = this.item();
      items.push(new Reader(lines, this.depth + 1).read());
      const goesOn = ITEM.test(this.line()) && markOf(this.line()) === mark && !RULE.test(this.line());
      const parted = isBlank(this.line(this.at - 1));
      if (isLoose || (parted && goesOn)) tight = false;
      if (!goesOn) break;
    }
    this.blocks.push({ kind: "list", start: Number.isNaN(number) ? null : number, items, tight });
  }

  /** Take the lines of one item: what is indented below its text, and what goes on as prose. */
  private item(): { lines: string[]; isLoose: boolean } {
    const first = this.line();
    const [mark, indent, , space] = ITEM.exec(first) ?? ["", ""];
    const width = (space?.length ?? 0) > 4 || space === undefined ? (indent?.length ?? 0) + mark.trim().length + 1 : mark.length;
    const lines = [first.slice(width)];
    let isLoose = false;
    this.at += 1;
    while (this.at < this.lines.length) {
      const line = this.line();
      const isInside = line.search(/\S/) >= width;
      const after = lines[lines.length - 1] ?? "";
      if (!isBlank(line) && !isInside && (isBlank(after) || !isProse(after) || this.isStart(line))) break;
      if (isInside && isBlank(after) && lines.length > 1) isLoose = true;
      lines.push(isInside ? line.slice(width) : line.trimStart());
      this.at += 1;
    }
    return { lines, isLoose };
  }

  private table(): void {
    const header = cellsOf(this.line());
    const rows: Inline[][][] = [];
    this.at += 2;
    for (; this.at < this.lines.length && isRow(this.line()); this.at += 1) {
      const cells = cellsOf(this.line());
      rows.push(header.map((_, n) => inlineOf(cells[n] ?? "")));
    }
    this.blocks.push({ kind: "table", header: header.map(inlineOf), rows });
  }
}

function isBlank(line: string): boolean {
  return !/\S/.test(line);
}

/** Return whether a line is one that a paragraph's next line may follow. */
function isProse(line: string): boolean {
  return !isBlank(line) && !FENCE.test(line) && !HEADING.test(line) && !RULE.test(line);
}

/** A heading may be closed by as many signs as somebody likes. */
function withoutClosing(heading: string): string {
  const text = heading.trim();
  let end = text.length;
  while (text[end - 1] === "#") end -= 1;
  return end === 0 || /\s/.test(text[end - 1] ?? "") ? text.slice(0, end).trim() : text;
}

/** A table ends where something else begins. */
function isRow(line: string): boolean {
  return isProse(line) && !QUOTE.test(line) && !ITEM.test(line);
}

/** A tab goes to the next column that is a multiple of four. */
function withoutTabs(line: string): string {
  if (!line.includes("\t")) return line;
  return line.split("\t").reduce((before, after) => before + " ".repeat(4 - (before.length % 4)) + after);
}

function markOf(line: string): string {
  return ITEM.exec(line)?.[2]?.slice(-1) ?? "";
}

/** Split a row at its bars; those behind a backslash are text. */
function cellsOf(line: string): string[] {
  const row = line.trim().replace(/^\|/, "").replace(/(^|[^\\])\|$/, "$1");
  return row.split(/(?<!\\)\|/).map((cell) => cell.trim().replaceAll("\\|", "|"));
}
