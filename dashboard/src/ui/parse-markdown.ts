//! Markdown of procedures as a tree of plain values: headings, paragraphs, lists, tasks, quotes, code, rules, emphasis, links.
//! Pure and safe by construction: foreign text only ever becomes text; links carry http(s), mailto and tel only; images and HTML stay text.

export type Inline =
  | { kind: 'text'; text: string }
  | { kind: 'strong' | 'em'; children: Inline[] }
  | { kind: 'code'; text: string }
  | { kind: 'link'; href: string; children: Inline[] };

export interface Item { done: boolean | null; children: Inline[]; nested: Block[] }
export type Block =
  | { kind: 'heading'; level: number; children: Inline[] }
  | { kind: 'paragraph'; children: Inline[] }
  | { kind: 'list'; ordered: boolean; start: number; items: Item[] }
  | { kind: 'quote'; children: Block[] }
  | { kind: 'code'; text: string }
  | { kind: 'rule' };

const ITEM = /^(\s*)(?:([-*+])|(\d{1,9})[.)])\s+(.*)$/;
const MAX_DEPTH = 6;

export function parseMarkdown(source: string, depth = 0): Block[] {
  const lines = source.replace(/\r\n?/g, '\n').split('\n');
  const blocks: Block[] = [];
  let at = 0;
  const line = (): string => lines[at] ?? '';
  while (at < lines.length) {
    const text = line();
    if (text.trim() === '') { at += 1; continue; }
    const fence = /^\s*```/.exec(text);
    if (fence) {
      const body: string[] = [];
      for (at += 1; at < lines.length && !/^\s*```/.test(line()); at += 1) body.push(line());
      at += 1;
      blocks.push({ kind: 'code', text: body.join('\n') });
      continue;
    }
    const heading = /^(#{1,6})\s+(.*?)\s*#*$/.exec(text);
    if (heading) {
      blocks.push({ kind: 'heading', level: heading[1]?.length ?? 1, children: parseInline(heading[2] ?? '') });
      at += 1;
      continue;
    }
    if (/^\s*([-*_])(\s*\1){2,}\s*$/.test(text)) { blocks.push({ kind: 'rule' }); at += 1; continue; }
    if (/^\s*>/.test(text) && depth < MAX_DEPTH) {
      const body: string[] = [];
      for (; at < lines.length && /^\s*>/.test(line()); at += 1) body.push(line().replace(/^\s*>\s?/, ''));
      blocks.push({ kind: 'quote', children: parseMarkdown(body.join('\n'), depth + 1) });
      continue;
    }
    if (ITEM.test(text) && depth < MAX_DEPTH) {
      const taken = takeList(lines, at, depth);
      blocks.push(taken.block);
      at = taken.next;
      continue;
    }
    const body: string[] = [];
    for (; at < lines.length && line().trim() !== '' && !/^(#{1,6}\s|\s*>|\s*```)/.test(line()) && !(body.length > 0 && ITEM.test(line())); at += 1) body.push(line().trim());
    if (body.length === 0) { body.push(text.trim()); at += 1; }
    blocks.push({ kind: 'paragraph', children: parseInline(body.join(' ')) });
  }
  return blocks;
}

function takeList(lines: string[], from: number, depth: number): { block: Block; next: number } {
  const first = ITEM.exec(lines[from] ?? '');
  const indent = first?.[1]?.length ?? 0;
  const ordered = first?.[3] !== undefined;
  const items: Item[] = [];
  let at = from;
  while (at < lines.length) {
    const match = ITEM.exec(lines[at] ?? '');
    if (!match || (match[1]?.length ?? 0) !== indent || (match[3] !== undefined) !== ordered) break;
    let text = match[4] ?? '';
    const inner: string[] = [];
    at += 1;
    for (; at < lines.length; at += 1) {
      const next = lines[at] ?? '';
      if (next.trim() === '') { if (/^\s/.test(lines[at + 1] ?? '') && (lines[at + 1] ?? '').trim() !== '') continue; break; }
      if ((/^\s*/.exec(next)?.[0].length ?? 0) <= indent) break;
      if (ITEM.test(next) || inner.length > 0) inner.push(next.slice(indent + 2));
      else text += ` ${next.trim()}`;
    }
    const task = /^\[([ xX])\]\s+(.*)$/.exec(text);
    items.push({ done: task ? task[1] !== ' ' : null, children: parseInline(task?.[2] ?? text), nested: parseMarkdown(inner.join('\n'), depth + 1) });
  }
  return { block: { kind: 'list', ordered, start: Number(first?.[3] ?? 1), items }, next: at };
}

const INLINE = /(`+)(.+?)\1|\*\*(.+?)\*\*|__(.+?)__|\*([^*\s](?:[^*]*[^*\s])?)\*|(?<![\p{L}\p{N}_])_([^_]+)_(?![\p{L}\p{N}_])|!?\[([^\]]*)\]\(([^()\s]*(?:\([^()\s]*\))?[^()\s]*)\)/u;

export function parseInline(text: string, depth = 0): Inline[] {
  const out: Inline[] = [];
  let rest = text;
  while (rest !== '') {
    const match = depth < MAX_DEPTH ? INLINE.exec(rest) : null;
    if (!match) { out.push({ kind: 'text', text: rest }); break; }
    if (match.index > 0) out.push({ kind: 'text', text: rest.slice(0, match.index) });
    const strong = match[3] ?? match[4];
    const em = match[5] ?? match[6];
    if (match[2] !== undefined) out.push({ kind: 'code', text: match[2] });
    else if (strong !== undefined) out.push({ kind: 'strong', children: parseInline(strong, depth + 1) });
    else if (em !== undefined) out.push({ kind: 'em', children: parseInline(em, depth + 1) });
    else out.push(linkOf(match[0], match[7] ?? '', match[8] ?? '', depth));
    rest = rest.slice(match.index + match[0].length);
  }
  return out;
}

function linkOf(whole: string, label: string, href: string, depth: number): Inline {
  if (whole.startsWith('!')) return { kind: 'text', text: label };
  if (!/^(https?:\/\/|mailto:|tel:)/i.test(href)) return { kind: 'text', text: label };
  return { kind: 'link', href, children: parseInline(label, depth + 1) };
}

/** Items of all lists, counted from 0 in document order: an item before those nested in it. */
export function numberItems(blocks: readonly Block[], numbers = new Map<Item, number>()): Map<Item, number> {
  for (const b of blocks) {
    if (b.kind === 'quote') numberItems(b.children, numbers);
    if (b.kind !== 'list') continue;
    for (const item of b.items) {
      numbers.set(item, numbers.size);
      numberItems(item.nested, numbers);
    }
  }
  return numbers;
}
