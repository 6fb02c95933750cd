import { useMemo } from 'preact/hooks';
import { numberItems, parseMarkdown, type Block, type Inline, type Item } from './parse-markdown';

/** List items as steps that can be ticked: counted from 0 in document order. */
export interface Steps {
  of(step: number): { by: string; time: string } | null;
  may: boolean;
  tick(step: number, done: boolean): void;
}

export function Markdown({ source, steps }: { source: string; steps?: Steps }) {
  const { blocks, numbers } = useMemo(() => { const parsed = parseMarkdown(source); return { blocks: parsed, numbers: numberItems(parsed) }; }, [source]);
  return <div class={steps ? 'markdown ticked' : 'markdown'}>{blocks.map((b, i) => block(b, i, numbers, steps))}</div>;
}

function block(b: Block, index: number, numbers: ReadonlyMap<Item, number>, steps: Steps | undefined) {
  switch (b.kind) {
    // The page's own headings end at h3: those of a procedure follow below.
    case 'heading': return b.level <= 2 ? <h4 key={index}>{b.children.map(inline)}</h4> : <h5 key={index}>{b.children.map(inline)}</h5>;
    case 'paragraph': return <p key={index}>{b.children.map(inline)}</p>;
    case 'rule': return <hr key={index} />;
    case 'code': return <pre key={index}>{b.text}</pre>;
    case 'quote': return <blockquote key={index}>{b.children.map((c, i) => block(c, i, numbers, steps))}</blockquote>;
    case 'list': {
      const items = b.items.map((item, i) => (
        <li key={i} class={steps || item.done !== null ? 'task' : undefined}>
          {steps ? <Step step={numbers.get(item) ?? 0} steps={steps} label={b.ordered ? `${b.start + i}.` : ''}>{item.children.map(inline)}</Step> : <>
            {item.done !== null && <span class="box" aria-hidden="true">{item.done ? '☑' : '☐'}</span>}
            {item.children.map(inline)}
          </>}
          {item.nested.map((c, n) => block(c, n, numbers, steps))}
        </li>
      ));
      return b.ordered ? <ol key={index} start={b.start}>{items}</ol> : <ul key={index}>{items}</ul>;
    }
  }
}

function Step({ step, steps, label, children }: { step: number; steps: Steps; label: string; children: preact.ComponentChildren }) {
  const done = steps.of(step);
  return (
    <label class={`step${done ? ' done' : ''}`}>
      <input type="checkbox" data-testid={`step-${step}`} checked={done !== null} disabled={!steps.may} onClick={(e) => { e.preventDefault(); steps.tick(step, done === null); }} />
      <span>{label !== '' && <span class="quiet">{label} </span>}{children}{done && <span class="quiet"> {done.by} {done.time}</span>}</span>
    </label>
  );
}

function inline(i: Inline, index: number) {
  switch (i.kind) {
    case 'text': return i.text;
    case 'code': return <code key={index}>{i.text}</code>;
    case 'strong': return <strong key={index}>{i.children.map(inline)}</strong>;
    case 'em': return <em key={index}>{i.children.map(inline)}</em>;
    case 'link': return <a key={index} href={i.href} target="_blank" rel="noopener noreferrer">{i.children.map(inline)}</a>;
  }
}
