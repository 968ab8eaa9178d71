import { lexer, type Token, type Tokens } from "marked";
import { describe, expect, it } from "vitest";
import { type Inline, inlineOf } from "../src/model/inline";
import { type Block, blocksOf } from "../src/model/markdown";

/** Write a tree down, so that it can be read, and compared with another's. */
function written(blocks: Block[]): string {
  return blocks.map(writtenBlock).join("");
}

function writtenBlock(block: Block): string {
  switch (block.kind) {
    case "heading": return `<h${block.depth}>${inline(block.text)}</>`;
    case "paragraph": return `<p>${inline(block.text)}</>`;
    case "code": return `<pre>${block.text}</>`;
    case "quote": return `<quote>${written(block.blocks)}</>`;
    case "list": return `<${block.start ?? "ul"}>${block.items.map((item) => `<li>${item.map((each) => (block.tight && each.kind === "paragraph" ? inline(each.text) : writtenBlock(each))).join("")}</>`).join("")}</>`;
    case "table": return `<table>${[block.header, ...block.rows].map((row) => `<tr>${row.map((cell) => `<td>${inline(cell)}</>`).join("")}</>`).join("")}</>`;
    case "rule": return "<hr>";
  }
}

function inline(parts: Inline[]): string {
  return parts.map((part) => {
    if (typeof part === "string") return part;
    if (part.kind === "code") return `<code>${part.text}</>`;
    if (part.kind === "break") return "<br>";
    if (part.kind === "link") return `<a ${part.href}>${inline(part.text)}</>`;
    return `<${part.kind}>${inline(part.text)}</>`;
  }).join("");
}

/** The same of marked's tokens. */
function theirs(tokens: Token[] | undefined, tight = false): string {
  return (tokens ?? []).map((each) => theirToken(each as Tokens.Generic, tight)).join("");
}

function theirToken(token: Tokens.Generic, tight: boolean): string {
  switch (token.type) {
    case "heading": return `<h${token.depth}>${theirs(token.tokens)}</>`;
    case "paragraph": return tight ? theirs(token.tokens) : `<p>${theirs(token.tokens)}</>`;
    case "code": return `<pre>${token.text}</>`;
    case "blockquote": return `<quote>${theirs(token.tokens)}</>`;
    case "list": return `<${token.ordered ? token.start : "ul"}>${token.items.map((item: Tokens.ListItem) => `<li>${theirs(item.tokens, !token.loose)}</>`).join("")}</>`;
    case "hr": return "<hr>";
    case "table": return `<table>${[token.header, ...token.rows].map((row: Tokens.TableCell[]) => `<tr>${row.map((cell) => `<td>${theirs(cell.tokens)}</>`).join("")}</>`).join("")}</>`;
    case "strong": case "em": case "del": return `<${token.type}>${theirs(token.tokens)}</>`;
    case "codespan": return `<code>${token.text}</>`;
    case "br": return "<br>";
    case "image": return `<a ${token.href}>${token.text}</>`;
    case "link": return `<a ${token.href}>${theirs(token.tokens)}</>`;
    case "escape": return token.text;
    case "space": return "";
    case "text": return token.tokens ? theirs(token.tokens) : token.text;
    default: return token.raw;
  }
}

describe("Markdown", () => {
  it.each<[string, string]>([
    ["a paragraph", "One\ntwo  \nthree"],
    ["headings", "# One #\n\n## Two\ntext\n### Three `c`\n#### *four*\n####### no heading\n#no heading"],
    ["headings with a line below them", "One\n===\n\nTwo *x*\n---\n\nThree"],
    ["emphasis", "*a* _b_ **c** __d__ ***e*** ~~f~~ **a *b* c** *a **b** c* a*b*c a_b_c 2 * 3 * 4 **a"],
    ["emphasis that crosses", "*a **b* c** and *a _b* c_"],
    ["marks that nothing closes", "**a *b _c ~~d `e [f ![g <h & x"],
    ["code", "`a` ``b`c`` ` d ` `*e*` ``f` and `\\` g"],
    ["links", "[a](http://x/y) [b *c*](/z \"title\") [d](<e f>) ![g](http://x/h.png) <http://i/j> https://k/l. (https://m/n) [o] [p]()"],
    ["an address with brackets", "[a](http://x/y_(z)) see https://x/y_(z)."],
    ["escapes", "\\*a\\* \\# b \\[c](d) e\\\nf"],
    ["bullets", "- a\n- b\n  c\n- d\n\n* e\n* f\n\n+ g"],
    ["numbers", "3. a\n4. b\n\n1) c\n2) d"],
    ["lists in lists", "- a\n  - b\n    - c\n  - d\n- e\n  1. f\n  2. g\n- h"],
    ["lists with room between", "- a\n\n- b\n\n  c\n\n- d"],
    ["lists of blocks", "1. a\n\n   ```\n   b\n   ```\n2. c\n   > d\n\n   e"],
    ["a list after a line", "What it has:\n- a\n- b\n\nThen:\n1. c\n2. d\n14. e"],
    ["a number is no list within a paragraph", "It was in\n1987. A year"],
    ["quotes", "> a\n> b\nc\n\n> # d\n>\n> - e\n> - f\n>> g"],
    ["code between fences", "```python\nx = '*a*'\n\n  y\n```\n~~~\n```\n~~~\n````\n```\n````\nend"],
    ["a fence that nothing closes", "a\n```\nb\n# c"],
    ["code by its margin", "a\n\n    b\n      c\n\n    d\n\ne"],
    ["rules", "a\n\n---\n***\n_ _ _\n- - -\nb"],
    ["tables", "| a | b |\n|---|:-:|\n| 1 | *2* |\n| 3 |\n| 4 | 5 | 6 |\n\nc"],
    ["tables without bars around", "a | b\n--|--\n`x` | y \\| z\nend"],
    ["what is no table", "a | b\nc | d\n\n| e |\n|---|---|"],
    ["tabs", "-\ta\n-\tb\n\n\tcode"],
    ["lines of Windows", "# a\r\n\r\n- b\r\n- c\r\n"],
    ["a model's answer", "## Result\n\nThe image shows **two** cats:\n\n1. **Tom** – grey, on the `left`\n   - 3 years\n   - asleep\n2. **Kit** – black\n\n> They know *each other*.\n\n| name | p |\n| :--- | ---: |\n| Tom | 0.98 |\n| Kit | 0.87 |\n\n```json\n{\"cats\": 2}\n```\n\n---\nSee [the docs](https://x.test/a_b)."],
  ])("%s: is read as marked reads it", (_, text) => {
    expect(written(blocksOf(text))).toBe(theirs(lexer(text)));
  });

  it("keeps HTML as what was written", () => {
    expect(written(blocksOf("<img src=x onerror=alert(1)> <b>a</b>\n\n<script>b</script>"))).toBe("<p><img src=x onerror=alert(1)> <b>a</b></><p><script>b</script></>");
  });

  it("knows the common entities, and no character that is none", () => {
    expect(inline(inlineOf("&lt;b&gt; &amp;amp; &#233; &#0; &#55296; &nothing; &nbsp;x"))).toBe("<b> &amp; é \ufffd \ufffd &nothing; \u00a0x");
  });

  it("loses no letter of any text", () => {
    const pieces = ["a", "b ", "\n", "\n\n", "*", "**", "_", "~~a~~", "`", "- ", "1. ", "> ", "# ", "    ", "[", "]", "(", "|", "\\", "<", "&", "\t", "---\n", "===\n"];
    const letters = (of: string) => [...of].filter((each) => "ab".includes(each)).sort().join("");
    let seed = 1;
    const draw = (below: number) => (seed = (seed * 48271) % 2147483647) % below;
    for (let n = 0; n < 5000; n += 1) {
      const text = Array.from({ length: draw(40) }, () => pieces[draw(pieces.length)] ?? "").join("");
      expect(letters(blocksOf(text).map(said).join("")), JSON.stringify(text)).toBe(letters(text));
    }
  });

  it.each<[string, string]>([
    ["brackets", "[".repeat(50_000)], ["links that never end", "[a](".repeat(20_000)], ["stars", "*a ".repeat(50_000)],
    ["stars and bars", "*_~~**__".repeat(20_000)], ["ticks of all lengths", Array.from({ length: 600 }, (_, n) => "`".repeat(n)).join(" ")],
    ["quotes", `${">".repeat(50_000)}a`], ["lists", `${"- ".repeat(50_000)}a`], ["spaces", `# ${" ".repeat(200_000)}#${" ".repeat(200_000)}a`],
    ["code of spaces", `\` ${"a ".repeat(100_000)}b\``], ["addresses", `http://x/${"!".repeat(1900)} `.repeat(200)], ["bars", "|".repeat(200_000)],
    ["tables", "|a\n|-\n".repeat(20_000)], ["angles", "<http://".repeat(30_000)], ["lines", "a\n".repeat(100_000)], ["rules", "- ".repeat(100_000) + "x"],
    ["deep lists", Array.from({ length: 300 }, (_, n) => `${"  ".repeat(n)}- a`).join("\n")], ["open and close", "*a_ ".repeat(40_000)],
  ])("a hostile text ends soon: %s", (_, text) => {
    expect(blocksOf(text).length).toBeGreaterThan(0);
  }, 5000);
});

/** Return all the words of a block. */
function said(block: Block): string {
  switch (block.kind) {
    case "quote": return block.blocks.map(said).join("");
    case "list": return block.items.flat().map(said).join("");
    case "table": return [block.header, ...block.rows].flat().map(spoken).join("");
    case "rule": return "";
    default: return typeof block.text === "string" ? block.text : spoken(block.text);
  }
}

function spoken(parts: Inline[]): string {
  return parts.map((part) => (typeof part === "string" ? part : part.kind === "break" ? "" : typeof part.text === "string" ? part.text : spoken(part.text))).join("");
}
