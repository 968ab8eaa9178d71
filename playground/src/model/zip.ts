// The table of a ZIP's members, read from its end (PKWARE APPNOTE 4.3.12 and 4.3.16). Pure.

export interface Member {
  name: string;
  size: number;
  isEncrypted: boolean;
}

export interface Table {
  offset: number;
  size: number;
  entries: number;
}

const END = 0x06054b50;
const END64 = 0x06064b50;
const ENTRY = 0x02014b50;
const MOST = 1000;

/** Return where the table lies, from the last bytes of a file; null when it is no ZIP. */
export function tableIn(tail: Uint8Array): Table | null {
  const view = new DataView(tail.buffer, tail.byteOffset, tail.byteLength);
  for (let at = tail.length - 22; at >= 0; at -= 1) {
    if (view.getUint32(at, true) !== END) continue;
    const table = { entries: view.getUint16(at + 10, true), size: view.getUint32(at + 12, true), offset: view.getUint32(at + 16, true) };
    return table.offset === 0xffffffff || table.entries === 0xffff ? large(view, at) ?? table : table;
  }
  return null;
}

/** Return the same of a ZIP64. */
function large(view: DataView, end: number): Table | null {
  for (let at = end - 76; at >= 0; at -= 1) {
    if (view.getUint32(at, true) !== END64) continue;
    const number = (place: number) => Number(view.getBigUint64(at + place, true));
    return { entries: number(32), size: number(40), offset: number(48) };
  }
  return null;
}

/** Return the members that a table names, at most 1000. */
export function membersIn(table: Uint8Array): Member[] {
  const view = new DataView(table.buffer, table.byteOffset, table.byteLength);
  const found: Member[] = [];
  for (let at = 0; at + 46 <= table.length && found.length < MOST; ) {
    if (view.getUint32(at, true) !== ENTRY) break;
    const flags = view.getUint16(at + 8, true);
    const [name, extra, comment] = [view.getUint16(at + 28, true), view.getUint16(at + 30, true), view.getUint16(at + 32, true)];
    const raw = table.subarray(at + 46, at + 46 + name);
    const size = view.getUint32(at + 24, true);
    const text = new TextDecoder(flags & 0x800 ? "utf-8" : "latin1").decode(raw);
    found.push({ name: text, size, isEncrypted: (flags & 1) === 1 });
    at += 46 + name + extra + comment;
  }
  return found;
}
