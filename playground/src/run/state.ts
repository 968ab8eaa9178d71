// A run as it goes: what the server says -> what is shown. Pure.

import { isObject, type Json } from "../model/json";

export type Phase = "idle" | "uploading" | "sending" | "queued" | "running" | "done" | "failed" | "cancelled";

export interface LogLine {
  message: string;
  level: string;
  source: string;
  timestamp: string;
}

export interface Progress {
  done: number;
  total: number | null;
  message: string | null;
  preview: Json;
}

export interface Failure {
  message: string;
  detail: unknown;
  status: number;
  requestId: string | null;
}

export interface Run {
  phase: Phase;
  requestId: string | null;
  position: number | null;
  eta: number | null;
  progress: Progress | null;
  logs: LogLine[];
  result: Json | undefined;
  /** What a streaming endpoint has sent so far. */
  parts: Json[];
  failure: Failure | null;
  /** The connection is gone, and is being made again. */
  isWaiting: boolean;
  began: number;
  ended: number | null;
  inferenceTime: number | null;
}

export const IDLE: Run = {
  phase: "idle", requestId: null, position: null, eta: null, progress: null, logs: [], result: undefined,
  parts: [], failure: null, isWaiting: false, began: 0, ended: null, inferenceTime: null,
};

const MOST_LINES = 5000;

export type Event =
  | { kind: "sent"; at: number }
  | { kind: "accepted"; requestId: string; position: number }
  | { kind: "status"; said: { [key: string]: any } }
  | { kind: "part"; value: Json }
  | { kind: "waiting" }
  | { kind: "result"; value: Json; at: number }
  | { kind: "failed"; failure: Failure; at: number }
  | { kind: "cancelled"; at: number };

export function isOver(run: Run): boolean {
  return run.phase === "done" || run.phase === "failed" || run.phase === "cancelled" || run.phase === "idle";
}

/** Return the run after an event. */
export function next(run: Run, event: Event): Run {
  switch (event.kind) {
    case "sent": return { ...IDLE, phase: "sending", began: event.at };
    case "accepted": return { ...run, phase: "queued", requestId: event.requestId, position: event.position };
    case "status": return stated(run, event.said);
    case "part": return { ...run, phase: "running", parts: [...run.parts, event.value] };
    case "waiting": return { ...run, isWaiting: true };
    case "result": return { ...run, phase: "done", result: event.value, ended: event.at, isWaiting: false };
    case "failed": return { ...run, phase: "failed", failure: event.failure, ended: event.at, isWaiting: false };
    case "cancelled": return { ...run, phase: "cancelled", ended: event.at, isWaiting: false };
  }
}

function stated(run: Run, said: { [key: string]: any }): Run {
  const lines: LogLine[] = Array.isArray(said.logs) ? said.logs : [];
  const logs = lines.length ? [...run.logs, ...lines].slice(-MOST_LINES) : run.logs;
  const phase: Phase = said.status === "IN_QUEUE" ? "queued" : "running";
  const progress = isObject(said.progress) ? (said.progress as unknown as Progress) : run.progress;
  return {
    ...run,
    phase: isOver(run) ? run.phase : phase,
    position: typeof said.queue_position === "number" ? said.queue_position : null,
    eta: typeof said.eta === "number" ? said.eta : null,
    inferenceTime: said.metrics?.inference_time ?? run.inferenceTime,
    progress,
    logs,
    isWaiting: false,
  };
}

/** Return how far a run is, 0 to 1; null when nobody knows. */
export function shareOf(run: Run): number | null {
  const { progress } = run;
  if (!progress || !progress.total || progress.total <= 0) return null;
  return Math.max(0, Math.min(1, progress.done / progress.total));
}
