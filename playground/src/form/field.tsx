// One field of the form: its label, its control, its hint and its errors.

import type { ComponentChildren } from "preact";
import { useEffect, useLayoutEffect, useMemo, useRef, useState } from "preact/hooks";
import { isObject, type Json, type Key } from "../model/json";
import type { Field } from "../model/schema";
import { branchOf, initialOf, newItem } from "../model/values";
import { Guard, memo, Words } from "../ui";
import { Basic } from "./basic";
import { FileControl } from "./file";
import { FilesControl } from "./files";
import { JsonControl } from "./json";

export interface FieldProps {
  field: Field;
  value: Json | undefined;
  path: readonly Key[];
  /** Messages by the path of their field, joined with dots. */
  errors: ReadonlyMap<string, string[]>;
  onChange: (path: readonly Key[], value: Json | undefined) => void;
  /** The object that it is in, for fields that look at others. */
  beside?: Json | undefined;
}

export function idOf(path: readonly Key[]): string {
  return `f-${path.join("-")}`;
}

const GROUPS = new Set(["object", "array", "files", "union"]);
const LOOKS_BESIDE = new Set(["mask", "union"]);
const NAMED_BY_TWO = new Set(["file", "mask"]); // the field's name, and what their button does

function FieldView(props: FieldProps) {
  const { field, path } = props;
  const id = idOf(path);
  const errors = props.errors.get(path.join(".")) ?? [];
  const label = <Label field={field} id={id} />;
  const body = (
    <>
      <Guard otherwise={<p class="error">This field cannot be drawn; set it in the JSON view.</p>}>
        <Control {...props} describedBy={describedBy(id, field, errors)} isWrong={errors.length > 0} />
      </Guard>
      {field.description && <p class="hint" id={`${id}-hint`} dir="auto"><Words text={field.description} /></p>}
      {errors.length > 0 && <p class="error" id={`${id}-error`}>{errors.join(" ")}</p>}
    </>
  );
  const shape = path.length === 1 ? "field far" : "field";
  if (field.kind === "boolean") return <div class={shape} data-kind="boolean">{body}</div>;
  if (GROUPS.has(field.kind)) {
    return <fieldset class={shape} data-kind={field.kind} id={`${id}-box`} tabIndex={-1}><legend>{label}</legend>{body}</fieldset>;
  }
  return <div class={shape} data-kind={field.kind}>{label}{body}</div>;
}

export const FieldRow = memo(FieldView);

function Label(props: { field: Field; id: string }) {
  const { field, id } = props;
  const classes = [field.required && !field.nullable ? "required" : "", field.deprecated ? "struck" : ""].join(" ");
  const text = <span class={classes} dir="auto">{field.title}</span>;
  if (NAMED_BY_TWO.has(field.kind)) return <label id={`${id}-label`} for={id}>{text}</label>;
  return GROUPS.has(field.kind) || field.kind === "boolean" ? text : <label for={id}>{text}</label>;
}

function describedBy(id: string, field: Field, errors: string[]): string | undefined {
  const parts = [field.description ? `${id}-hint` : "", errors.length ? `${id}-error` : ""].filter(Boolean);
  return parts.join(" ") || undefined;
}

export interface ControlProps extends FieldProps {
  /** Its name, where no label stands before it. */
  named?: string | undefined;
  describedBy: string | undefined;
  isWrong: boolean;
}

function Control(props: ControlProps) {
  const { field } = props;
  if (field.readOnly) return <output>{String(props.value ?? "")}</output>;
  switch (field.kind) {
    case "object": return field.nullable ? <Switched {...props} /> : <Group {...props} />;
    case "array": return <List {...props} />;
    case "files": return <FilesControl {...props} />;
    case "file": case "mask": return <FileControl {...props} />;
    case "union": return <Union {...props} />;
    case "json": return <JsonControl {...props} />;
    default: return <Basic {...props} />;
  }
}

/** The fields of an object. */
export function Group(props: FieldProps) {
  const fields = props.field.children().filter((each) => !each.hidden);
  const first = fields.filter((each) => !each.advanced);
  const more = fields.filter((each) => each.advanced);
  const wrong = more.some((each) => [...props.errors.keys()].some((key) => isBelow(key, [...props.path, each.key])));
  const drawn = useGrowing(fields.length, props.path.length === 0);
  return (
    <div class="group" aria-busy={drawn < fields.length}>
      {first.slice(0, drawn).map((each) => <Part key={each.key} of={each} {...props} />)}
      {more.length > 0 && (
        <details open={wrong}>
          <summary>More settings ({more.length})</summary>
          {more.slice(0, Math.max(0, drawn - first.length)).map((each) => <Part key={each.key} of={each} {...props} />)}
        </details>
      )}
    </div>
  );
}

const AT_ONCE = 4;
const TURN = 30; // ms of drawing, after which the page has to be able to answer

/** Count up to *all*: a long form is drawn in turns, of as many fields as this machine draws in one. */
function useGrowing(all: number, isWhole: boolean): number {
  const [drawn, draw] = useState(isWhole ? AT_ONCE : all);
  const last = useRef({ drawn: 0, took: 0 });
  const began = performance.now();
  useLayoutEffect(() => {
    last.current.took = performance.now() - began;
  }, [drawn]);
  useEffect(() => { // after this turn was painted
    if (drawn >= all) return;
    const each = Math.max(0.1, last.current.took / (drawn - last.current.drawn));
    last.current.drawn = drawn;
    draw(drawn + Math.max(2, Math.floor(TURN / each)));
  }, [drawn, all]);
  return isWhole ? drawn : all;
}

function Part(props: FieldProps & { of: Field }) {
  const { of, value } = props;
  const part = isObject(value) ? value[of.key] : undefined;
  const path = usePath(props.path, of.key);
  return <FieldRow field={of} value={part} path={path} errors={errorsBelow(props.errors, path)} onChange={props.onChange} beside={LOOKS_BESIDE.has(of.kind) ? value : undefined} />;
}

/** Keep the path the same object, so that a field that did not change is not rendered again. */
function usePath(path: readonly Key[], key: Key): readonly Key[] {
  const kept = useRef<{ path: readonly Key[]; key: Key; full: readonly Key[] } | null>(null);
  if (kept.current?.path !== path || kept.current.key !== key) kept.current = { path, key, full: [...path, key] };
  return kept.current.full;
}

const NONE: ReadonlyMap<string, string[]> = new Map();

function errorsBelow(errors: ReadonlyMap<string, string[]>, path: readonly Key[]): ReadonlyMap<string, string[]> {
  if (!errors.size) return NONE;
  return [...errors.keys()].some((key) => isBelow(key, path)) ? errors : NONE;
}

function isBelow(key: string, path: readonly Key[]): boolean {
  const place = path.join(".");
  return key === place || key.startsWith(`${place}.`);
}

/** An object that may be left out: a switch, and its fields when it is on. */
function Switched(props: ControlProps) {
  const { field, path, value } = props;
  const isOn = isObject(value);
  const turn = () => props.onChange(path, isOn ? null : initialOf({ ...field, nullable: false, initial: undefined }) ?? {});
  return (
    <>
      <label class="check"><input type="checkbox" role="switch" checked={isOn} onChange={turn} /> Use {field.title.toLowerCase()}</label>
      {isOn && <Group {...props} />}
    </>
  );
}

function List(props: ControlProps) {
  const { field, path, value } = props;
  const items = Array.isArray(value) ? value : [];
  const item = field.item();
  const change = (next: Json[]) => props.onChange(path, next);
  const move = (from: number, to: number) => {
    const next = [...items];
    next.splice(to, 0, ...next.splice(from, 1));
    change(next);
  };
  const most = field.schema.maxItems;
  return (
    <div class="list">
      {items.map((each, n) => (
        <ListItem key={n} name={`${item.title} ${n + 1}`}
          onRemove={() => change(items.filter((_, at) => at !== n))}
          onUp={n > 0 ? () => move(n, n - 1) : undefined}>
          <Item of={item} at={n} value={each} list={props} />
        </ListItem>
      ))}
      <button type="button" class="quiet" disabled={typeof most === "number" && items.length >= most} onClick={() => change([...items, newItem(item)])}>
        Add {item.title.toLowerCase()}
      </button>
    </div>
  );
}

function Item(props: { of: Field; at: number; value: Json; list: ControlProps }) {
  const { of, at, list } = props;
  const field = useMemo(() => ({ ...of, title: `${of.title} ${at + 1}` }), [of, at]);
  const path = usePath(list.path, at);
  return <FieldRow field={field} value={props.value} path={path} errors={errorsBelow(list.errors, path)} onChange={list.onChange} />;
}

function ListItem(props: { name: string; onRemove: () => void; onUp: (() => void) | undefined; children: ComponentChildren }) {
  return (
    <div class="list-item">
      <div class="list-body">{props.children}</div>
      <div class="list-tools">
        {props.onUp && <button type="button" class="quiet" aria-label={`Move ${props.name} up`} onClick={props.onUp}>↑</button>}
        <button type="button" class="quiet" aria-label={`Remove ${props.name}`} onClick={props.onRemove}>✕</button>
      </div>
    </div>
  );
}

/** One of several forms of a value; what was typed into each of them is kept. */
function Union(props: ControlProps) {
  const { field, path, value } = props;
  const branches = field.branches();
  const isEmpty = value === null || value === undefined;
  const [kept, keep] = useState<Record<number, Json | undefined>>({});
  const [asked, ask] = useState<number | null>(null);
  const fits = branchOf(branches, value);
  const chosen = asked ?? fits;
  const choose = (to: number) => {
    keep({ ...kept, [chosen]: value });
    ask(to);
    const branch = branches[to];
    if (branch) props.onChange(path, to in kept ? kept[to] : initialOf({ ...branch, nullable: false }) ?? startOf(branch));
  };
  const none = field.nullable || (!field.required && field.initial === undefined);
  const branch = branches[chosen];
  return (
    <>
      <div class="segments" role="radiogroup" aria-label={`Form of ${field.title}`}>
        {none && <Segment name={`${idOf(path)}-form`} label="None" isOn={isEmpty} onPick={() => { ask(null); props.onChange(path, field.nullable ? null : undefined); }} />}
        {branches.map((each, n) => (
          <Segment key={n} name={`${idOf(path)}-form`} label={nameOf(each, branches)} isOn={!(isEmpty && none) && n === chosen} onPick={() => choose(n)} />
        ))}
      </div>
      {branch && !(isEmpty && none) && <div class="branch"><BranchBody {...props} branch={branch} /></div>}
    </>
  );
}

/** Beside presets, an object is what is set by hand. */
function nameOf(branch: Field, branches: Field[]): string {
  return branch.kind === "object" && branches.some((each) => each.kind === "choice") ? "Custom" : branch.title;
}

function BranchBody(props: ControlProps & { branch: Field }) {
  const { branch } = props;
  if (branch.kind === "object") return <Group {...props} field={branch} />;
  return <Control {...props} named={props.field.title} field={{ ...branch, title: props.field.title, description: "" }} />;
}

function startOf(branch: Field): Json | undefined {
  const [first] = branch.choices;
  return first ? first.value : undefined;
}

export function Segment(props: { name: string; label: string; isOn: boolean; onPick: () => void }) {
  return <label class="segment"><input type="radio" name={props.name} checked={props.isOn} onChange={props.onPick} /><span dir="auto">{props.label}</span></label>;
}
