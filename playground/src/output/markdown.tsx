// Markdown as elements: no HTML of the text reaches the page, so nothing has to be cleaned.

import { createElement, type ComponentChildren } from "preact";
import { lexer, type Token, type Tokens } from "marked";

export function Markdown(props: { text: string }) {
  return <div class="prose" dir="auto">{blocks(lexer(props.text.slice(0, 500_000)))}</div>;
}

function blocks(tokens: Token[] | undefined): ComponentChildren[] {
  return (tokens ?? []).map((token, n) => <Block key={n} token={token} />);
}

function Block(props: { token: Token }) {
  const token = props.token as Tokens.Generic;
  switch (token.type) {
    case "heading": return createElement(`h${Math.min(6, token.depth + 2)}`, null, blocks(token.tokens));
    case "paragraph": return <p>{blocks(token.tokens)}</p>;
    case "code": return <pre><code>{token.text}</code></pre>;
    case "blockquote": return <blockquote>{blocks(token.tokens)}</blockquote>;
    case "list": return createElement(token.ordered ? "ol" : "ul", token.ordered ? { start: token.start } : null, token.items.map((each: Tokens.ListItem, n: number) => <li key={n}>{blocks(each.tokens)}</li>));
    case "hr": return <hr />;
    case "table": return <Table token={token as Tokens.Table} />;
    case "strong": return <strong>{blocks(token.tokens)}</strong>;
    case "em": return <em>{blocks(token.tokens)}</em>;
    case "del": return <del>{blocks(token.tokens)}</del>;
    case "codespan": return <code>{token.text}</code>;
    case "br": return <br />;
    case "link": return <Link href={token.href}>{blocks(token.tokens)}</Link>;
    case "image": return <Link href={token.href}>{token.text || token.href}</Link>;
    case "escape": return <>{token.text}</>;
    case "space": case "def": return null;
    case "text": return <>{token.tokens ? blocks(token.tokens) : token.text}</>;
    default: return <>{token.raw}</>;
  }
}

function Link(props: { href: string; children: ComponentChildren }) {
  if (!/^(https?:|mailto:)/i.test(props.href)) return <>{props.children}</>;
  return <a href={props.href} rel="noreferrer noopener nofollow" target="_blank">{props.children}</a>;
}

function Table(props: { token: Tokens.Table }) {
  const { token } = props;
  return (
    <table>
      <thead><tr>{token.header.map((cell, n) => <th key={n} scope="col">{blocks(cell.tokens)}</th>)}</tr></thead>
      <tbody>{token.rows.map((row, n) => <tr key={n}>{row.map((cell, m) => <td key={m}>{blocks(cell.tokens)}</td>)}</tr>)}</tbody>
    </table>
  );
}
