// One endpoint at work: its input on one side, what comes of it on the other.

import { useCallback, useLayoutEffect, useMemo, useRef, useState } from "preact/hooks";
import { Group, idOf } from "../form/field";
import { JsonBox } from "../form/json";
import { uploadsOnTheWay } from "../form/uploads";
import type { Endpoint } from "../model/endpoints";
import { type Entry, History, pictureIn } from "../model/history";
import { isObject, type Json, type Key, setIn } from "../model/json";
import { hashOf } from "../model/share";
import { bodyOf, errorsOf, type FieldError, initialOf, mergedOf, sharedOf } from "../model/values";
import { RemixContext } from "../output/remix";
import { usePage } from "../page";
import { Runner } from "../run/runner";
import { IDLE, isOver, next, type Run } from "../run/state";
import { Later, Tabs, Words } from "../ui";
import { Bar } from "./bar";
import { HistoryList } from "./history";
import { Result } from "./result";
import { Snippets } from "./snippets";

interface Props {
  owner: string;
  app: string;
  endpoint: Endpoint;
  shared: Json | undefined;
}

export function Workbench(props: Props) {
  const { endpoint } = props;
  const { client } = usePage();
  const input = endpoint.input;
  const [value, setValue] = useState<Json | undefined>(() => (input ? mergedOf(input, props.shared) : undefined));
  const latest = useRef(value); // what is typed is sent, also when nothing was painted since
  const [run, setRun] = useState<Run>(IDLE);
  const running = useRef<{ runner: Runner; run: Run } | null>(null);
  const [sent, setSent] = useState<Json | undefined>(undefined);
  const history = useMemo(() => new History(`towpath:${props.owner}/${props.app}`), []);
  const [entries, setEntries] = useState<Entry[]>(() => history.read());
  const errors = useMemo(() => (input && run.failure ? errorsOf(input, run.failure.detail) : []), [run.failure]);
  const byPath = useMemo(() => grouped(errors), [errors]);
  const result = useRef<HTMLElement>(null);

  const set = useCallback((next: Json | undefined) => {
    latest.current = next;
    setValue(next);
  }, []);
  const change = useCallback((path: readonly Key[], to: Json | undefined) => set(setIn(latest.current, path, to)), []);

  const keep = (id: string, now: Run, body: Json | undefined) => {
    const shared = input ? sharedOf(input, body) ?? {} : {};
    const phase = now.phase === "done" || now.phase === "failed" || now.phase === "cancelled" ? now.phase : "running";
    const output = now.result ?? null;
    setEntries(history.add({
      id, at: now.began, endpoint: endpoint.path, input: shared, output, phase,
      took: now.ended ? (now.ended - now.began) / 1000 : null, thumbnail: pictureIn(output),
    }));
  };

  /** On a phone the result is below the form. */
  const show = () => {
    if (innerWidth <= 820) requestAnimationFrame(() => result.current?.scrollIntoView());
    else result.current?.scrollTo(0, 0);
  };
  const watch = (body: Json | undefined, work: (runner: Runner) => Promise<void>) => {
    const mine = { runner: null as unknown as Runner, run: IDLE };
    let id = String(Date.now());
    mine.runner = new Runner(client, props.owner, props.app, (event) => {
      if (running.current !== mine) return;
      mine.run = next(mine.run, event);
      setRun(mine.run);
      if (event.kind === "accepted") id = event.requestId;
      if (event.kind === "accepted" || isOver(mine.run)) keep(id, mine.run, body);
      if (isOver(mine.run)) show();
    });
    running.current?.runner.leave();
    running.current = mine;
    setSent(body);
    void work(mine.runner);
    show();
  };

  const isHeld = useRef(false);
  const start = async () => {
    if (isHeld.current || (running.current && !isOver(running.current.run))) return;
    const uploads = uploadsOnTheWay();
    if (uploads) {
      isHeld.current = true;
      setRun({ ...IDLE, phase: "uploading" });
      const haveArrived = await uploads;
      isHeld.current = false;
      if (!haveArrived) return setRun(IDLE);
    }
    const body = input ? bodyOf(input, latest.current) : undefined;
    watch(body, (runner) => runner.run(endpoint, body));
  };
  const cancel = () => {
    if (isHeld.current) return;
    void running.current?.runner.cancel();
  };

  const restore = (entry: Entry) => {
    set(input ? mergedOf(input, entry.input) : undefined);
    running.current?.runner.leave();
    running.current = null;
    setSent(entry.input);
    if (entry.phase === "running") watch(entry.input, (runner) => runner.resume(entry.id));
    else setRun({ ...IDLE, phase: entry.phase === "done" ? "done" : "idle", result: entry.output, requestId: entry.id, began: entry.at, ended: entry.took === null ? null : entry.at + entry.took * 1000 });
  };
  const rerun = (entry: Entry) => {
    restore(entry);
    setTimeout(() => void act.current.start());
  };
  const act = useRef({ start, restore, rerun });
  act.current = { start, restore, rerun };
  useLayoutEffect(() => {
    const key = (event: KeyboardEvent) => {
      if (event.key !== "Enter" || !(event.ctrlKey || event.metaKey)) return;
      event.preventDefault();
      void act.current.start();
    };
    addEventListener("keydown", key);
    return () => {
      removeEventListener("keydown", key);
      running.current?.runner.leave();
    };
  }, []);

  const share = () => {
    const hash = hashOf({ endpoint: endpoint.path, input: (input && sharedOf(input, bodyOf(input, latest.current))) ?? {} });
    if (!hash) return null;
    globalThis.history.replaceState(null, "", hash);
    return location.href;
  };
  const remix = useMemo(() => {
    const fields = input?.kind === "object" ? input.children().filter((each) => !each.hidden) : [];
    const use = (key: string, url: string) => {
      const field = fields.find((each) => each.key === key);
      const before = isObject(latest.current) ? latest.current[key] : undefined;
      change([key], field?.kind === "files" ? [...(Array.isArray(before) ? before : []), url] : url);
      (document.getElementById(idOf([key])) ?? document.getElementById(`${idOf([key])}-box`))?.scrollIntoView({ block: "nearest" });
    };
    return { fields, use };
  }, [input]);
  // What stays the same while somebody types is not drawn again.
  const past = useMemo(() => ({
    entries: entries.filter((each) => each.endpoint === endpoint.path),
    onRestore: (entry: Entry) => act.current.restore(entry),
    onRerun: (entry: Entry) => act.current.rerun(entry),
    onRemove: (id: string) => setEntries(history.remove(id)),
    onClear: () => setEntries(history.clear()),
  }), [entries, endpoint.path]);

  return (
    <RemixContext.Provider value={remix}>
      <main class="bench">
        <section class="input" aria-label="Input">
          <Tabs label="Form of the input" tabs={[
            { name: "Form", body: () => <Form endpoint={endpoint} value={value} errors={errors} byPath={byPath} onChange={change} onExample={(each) => set(input ? mergedOf(input, each) : each)} /> },
            { name: "JSON", body: () => <JsonBox id="whole" label="Input as JSON" value={input ? bodyOf(input, value) : undefined} rows={16} isWrong={false} describedBy={undefined} onChange={(to) => set(to)} /> },
          ]} />
          <Bar run={run} onRun={start} onCancel={cancel} onReset={() => set(input ? initialOf(input) : undefined)} onShare={share} />
        </section>
        <section class="result" aria-label="Result" ref={result}>
          <Result endpoint={endpoint} run={run} input={sent} name={props.app} />
          <Later>{() => (
            <>
              <Snippets owner={props.owner} app={props.app} endpoint={endpoint} body={() => (input ? bodyOf(input, latest.current) ?? {} : {})} value={value} />
              <HistoryList {...past} />
            </>
          )}</Later>
        </section>
      </main>
    </RemixContext.Provider>
  );
}

interface FormProps {
  endpoint: Endpoint;
  value: Json | undefined;
  errors: FieldError[];
  byPath: ReadonlyMap<string, string[]>;
  onChange: (path: readonly Key[], value: Json | undefined) => void;
  onExample: (value: Json) => void;
}

const ROOT: readonly Key[] = [];

function Form(props: FormProps) {
  const { endpoint } = props;
  const input = endpoint.input;
  const summary = useRef<HTMLDivElement>(null);
  useLayoutEffect(() => {
    if (props.errors.length) summary.current?.focus();
  }, [props.errors]);
  return (
    <form noValidate onSubmit={(event) => event.preventDefault()}>
      {endpoint.description && <p class="hint" dir="auto"><Words text={endpoint.description} /></p>}
      {props.errors.length > 0 && <Summary errors={props.errors} box={summary} />}
      {endpoint.examples.length > 0 && (
        <div class="chips" role="group" aria-label="Examples">
          {endpoint.examples.slice(0, 8).map((each, n) => <button type="button" class="chip" key={n} onClick={() => props.onExample(each)}>Example {n + 1}</button>)}
        </div>
      )}
      {!input && <p class="hint">It takes no input: press Run.</p>}
      {input?.kind === "object" && <Group field={input} value={props.value} path={ROOT} errors={props.byPath} onChange={props.onChange} />}
      {input && input.kind !== "object" && (
        <JsonBox id="f-whole" label="Input" value={props.value} rows={8} isWrong={false} describedBy={undefined} onChange={(to) => props.onChange(ROOT, to)} />
      )}
    </form>
  );
}

/** All that is wrong, each with a way to its field. */
function Summary(props: { errors: FieldError[]; box: { current: HTMLDivElement | null } }) {
  const jump = (path: Key[]) => {
    for (let n = path.length; n > 0; n -= 1) {
      const id = idOf(path.slice(0, n));
      const target = document.getElementById(id) ?? document.getElementById(`${id}-box`);
      if (!target) continue;
      target.closest("details")?.setAttribute("open", "");
      target.focus();
      target.scrollIntoView({ block: "center" });
      return;
    }
  };
  return (
    <div class="summary" ref={props.box} tabIndex={-1} role="group" aria-label="What is not right">
      <p>{props.errors.length === 1 ? "One thing is not right" : `${props.errors.length} things are not right`}:</p>
      <ul>
        {props.errors.map((each, n) => (
          <li key={n}>
            {each.path.length
              ? <button type="button" class="link" onClick={() => jump(each.path)}>{each.path.join(".")}: {each.message}</button>
              : each.message}
          </li>
        ))}
      </ul>
    </div>
  );
}

function grouped(errors: FieldError[]): ReadonlyMap<string, string[]> {
  const found = new Map<string, string[]>();
  for (const { path, message } of errors) {
    const key = path.join(".");
    found.set(key, [...(found.get(key) ?? []), message]);
  }
  return found;
}
