// Markdown as elements: no HTML of the text reaches the page, so nothing has to be cleaned.

import { createElement, type ComponentChildren } from "preact";
import type { Inline } from "../model/inline";
import { type Block, blocksOf } from "../model/markdown";

export function Markdown(props: { text: string }) {
  return <div class="prose" dir="auto">{blocks(blocksOf(props.text))}</div>;
}

function blocks(of: Block[]): ComponentChildren[] {
  return of.map((block, n) => <BlockView key={n} block={block} />);
}

function BlockView(props: { block: Block }) {
  const { block } = props;
  switch (block.kind) {
    case "heading": return createElement(`h${Math.min(6, block.depth + 2)}`, null, inline(block.text));
    case "paragraph": return <p>{inline(block.text)}</p>;
    case "code": return <pre tabIndex={0}><code>{block.text}</code></pre>;
    case "quote": return <blockquote>{blocks(block.blocks)}</blockquote>;
    case "list": return <List block={block} />;
    case "rule": return <hr />;
    case "table": return <Table header={block.header} rows={block.rows} />;
  }
}

/** Between the items of a tight list there is no room: their paragraphs are bare text. */
function List(props: { block: Block & { kind: "list" } }) {
  const { start, items, tight } = props.block;
  const bare = (block: Block, n: number) => (tight && block.kind === "paragraph" ? <>{inline(block.text)}</> : <BlockView key={n} block={block} />);
  return createElement(start === null ? "ul" : "ol", start === null ? null : { start }, items.map((item, n) => <li key={n}>{item.map(bare)}</li>));
}

function Table(props: { header: Inline[][]; rows: Inline[][][] }) {
  return (
    <table>
      <thead><tr>{props.header.map((cell, n) => <th key={n} scope="col">{inline(cell)}</th>)}</tr></thead>
      <tbody>{props.rows.map((row, n) => <tr key={n}>{row.map((cell, m) => <td key={m}>{inline(cell)}</td>)}</tr>)}</tbody>
    </table>
  );
}

function inline(of: Inline[]): ComponentChildren[] {
  return of.map((part, n) => (typeof part === "string" ? part : <InlineView key={n} part={part} />));
}

function InlineView(props: { part: Exclude<Inline, string> }) {
  const { part } = props;
  switch (part.kind) {
    case "code": return <code>{part.text}</code>;
    case "break": return <br />;
    case "link": return <Link href={part.href}>{inline(part.text)}</Link>;
    default: return createElement(part.kind, null, inline(part.text));
  }
}

function Link(props: { href: string; children: ComponentChildren }) {
  if (!/^(https?:|mailto:)/i.test(props.href)) return <>{props.children}</>;
  return <a href={props.href} rel="noreferrer noopener nofollow" target="_blank">{props.children}</a>;
}
