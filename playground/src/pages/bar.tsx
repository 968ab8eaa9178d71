// The bar that is always in reach: run, cancel, reset, share.

import { useState } from "preact/hooks";
import { isOver, type Run } from "../run/state";
import { wordsOf } from "./words";

interface Props {
  run: Run;
  onRun: () => void;
  onCancel: () => void;
  onReset: () => void;
  onShare: () => string | null;
}

const MODIFIER = /Mac|iPhone|iPad/.test(navigator.userAgent) ? "⌘" : "Ctrl";

export function Bar(props: Props) {
  const [said, say] = useState("");
  const over = isOver(props.run);
  const share = async () => {
    const link = props.onShare();
    if (!link) say("The input is too long for a link; copy its JSON.");
    else {
      const done = await navigator.clipboard.writeText(link).then(() => true, () => false);
      say(done ? "Link copied" : "The link is in the address bar");
    }
    setTimeout(() => say(""), 4000);
  };
  return (
    <div class="bar">
      <button type="button" class="primary" aria-keyshortcuts="Control+Enter Meta+Enter" disabled={!over} onClick={props.onRun}>
        Run <kbd aria-hidden="true">{MODIFIER}+Enter</kbd>
      </button>
      {!over && <button type="button" onClick={props.onCancel}>Cancel</button>}
      <button type="button" class="quiet" onClick={props.onReset}>Reset</button>
      <button type="button" class="quiet" onClick={share}>Share link</button>
      <span class="hint" role="status">{said}</span>
      <span class="bar-state" aria-hidden="true">{over ? "" : wordsOf(props.run)}</span>
    </div>
  );
}
