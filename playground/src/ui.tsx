// Small parts that all pages share.

import { Component, type ComponentChildren, type ComponentType, type VNode } from "preact";
import { useEffect, useId, useRef, useState } from "preact/hooks";

/** Render again only when a property has changed: typing in one field leaves the others alone. */
export function memo<P extends object>(Inner: ComponentType<P>): ComponentType<P> {
  return class extends Component<P> {
    override shouldComponentUpdate(next: Readonly<P>): boolean {
      const before = this.props as Record<string, unknown>;
      const after = next as Record<string, unknown>;
      return Object.keys({ ...before, ...after }).some((key) => before[key] !== after[key]);
    }
    override render(): VNode {
      return <Inner {...(this.props as P)} />;
    }
  };
}

/** Shows something else where a part cannot be drawn: the rest of the page goes on. */
export class Guard extends Component<{ otherwise: ComponentChildren; children: ComponentChildren }, { isBroken: boolean }> {
  override state = { isBroken: false };
  static override getDerivedStateFromError(): { isBroken: boolean } {
    return { isBroken: true };
  }
  override render(): ComponentChildren {
    return this.state.isBroken ? this.props.otherwise : this.props.children;
  }
}

/** Draws its children once the rest of the page is painted. */
export function Later(props: { children: () => ComponentChildren }) {
  const [isPainted, paint] = useState(false);
  useEffect(() => paint(true), []);
  return <>{isPainted && props.children()}</>;
}

/** Tabs as the WAI-ARIA practice describes them: arrows move, the panel is named by its tab. */
export function Tabs(props: { label: string; tabs: { name: string; body: () => ComponentChildren }[] }) {
  const [chosen, choose] = useState(0);
  const id = useId();
  const buttons = useRef<(HTMLButtonElement | null)[]>([]);
  const move = (event: KeyboardEvent) => {
    const step = { ArrowRight: 1, ArrowLeft: -1 }[event.key];
    if (!step) return;
    const sign = getComputedStyle(event.currentTarget as Element).direction === "rtl" ? -1 : 1;
    const to = (chosen + step * sign + props.tabs.length) % props.tabs.length;
    choose(to);
    buttons.current[to]?.focus();
  };
  const current = props.tabs[Math.min(chosen, props.tabs.length - 1)];
  return (
    <div class="tabs">
      <div role="tablist" aria-label={props.label} onKeyDown={move}>
          {props.tabs.map((tab, n) => (
            <button
              key={tab.name} type="button" role="tab" id={`${id}-tab-${n}`} aria-selected={n === chosen}
              aria-controls={`${id}-panel`} tabIndex={n === chosen ? 0 : -1}
              ref={(button) => { buttons.current[n] = button; }} onClick={() => choose(n)}
            >{tab.name}</button>
          ))}
      </div>
      <div role="tabpanel" id={`${id}-panel`} aria-labelledby={`${id}-tab-${chosen}`} tabIndex={0}>{current?.body()}</div>
    </div>
  );
}

/** A text that scrolls, and can be scrolled with the keyboard. */
export function Scroller(props: { label: string; children: ComponentChildren; class?: string }) {
  return <pre class={`scroller ${props.class ?? ""}`} role="region" aria-label={props.label} tabIndex={0}>{props.children}</pre>;
}

export function CopyButton(props: { text: () => string; label?: string }) {
  const [said, say] = useState("");
  const copy = async () => {
    say((await copied(props.text())) ? "Copied" : "Not allowed here: select and copy");
    setTimeout(() => say(""), 2000);
  };
  return <button type="button" class="quiet" onClick={copy}>{said || (props.label ?? "Copy")}<span class="sr" role="status">{said}</span></button>;
}

async function copied(text: string): Promise<boolean> {
  try {
    await navigator.clipboard.writeText(text);
    return true;
  } catch {
    return false;
  }
}

/** A modal dialog; the focus comes back to where it was. */
export function Dialog(props: { label: string; onClose: () => void; children: ComponentChildren; class?: string; onKey?: (event: KeyboardEvent) => void }) {
  const dialog = useRef<HTMLDialogElement>(null);
  useEffect(() => {
    const before = document.activeElement as HTMLElement | null;
    dialog.current?.showModal();
    return () => before?.focus?.();
  }, []);
  const closeOutside = (event: MouseEvent) => event.target === dialog.current && props.onClose();
  return (
    <dialog ref={dialog} aria-label={props.label} class={props.class} onClose={props.onClose} onClick={closeOutside} onKeyDown={props.onKey}>
      {props.children}
      <button type="button" class="quiet close" onClick={props.onClose}>Close</button>
    </dialog>
  );
}

/** Ask for a key in a dialog; resolves when one was given. */
export function KeyDialog(props: { what: string; onKey: (key: string) => void }) {
  const [key, setKey] = useState("");
  const dialog = useRef<HTMLDialogElement>(null);
  useEffect(() => dialog.current?.showModal(), []);
  const give = (event: Event) => {
    event.preventDefault();
    if (key.trim()) props.onKey(key.trim());
  };
  return (
    <dialog ref={dialog} aria-label="Sign in" onCancel={(event) => event.preventDefault()}>
      <form onSubmit={give} class="stack">
        <label for="key">{props.what}</label>
        <input id="key" type="password" autocomplete="off" value={key} onInput={(event) => setKey(event.currentTarget.value)} />
        <p class="hint">It is kept for this tab only.</p>
        <button class="primary">Go on</button>
      </form>
    </dialog>
  );
}

/** Words of an element that changes by itself; assistive technology hears them. */
export function Status(props: { children: ComponentChildren }) {
  return <p class="status" role="status" aria-live="polite">{props.children}</p>;
}

/** A sentence of a docstring: what stands in backticks is code. */
export function Words(props: { text: string }) {
  return <>{props.text.split(/`+([^`]+)`+/).map((part, n) => (n % 2 ? <code key={n}>{part}</code> : part))}</>;
}
