import { useMemo } from 'preact/hooks';
import { parseMarkdown, type Block, type Inline } from './parse-markdown';

export function Markdown({ source }: { source: string }) {
  const blocks = useMemo(() => parseMarkdown(source), [source]);
  return <div class="markdown">{blocks.map(block)}</div>;
}

function block(b: Block, index: number) {
  switch (b.kind) {
    // The page's own headings end at h3: those of a procedure follow below.
    case 'heading': return b.level <= 2 ? <h4 key={index}>{b.children.map(inline)}</h4> : <h5 key={index}>{b.children.map(inline)}</h5>;
    case 'paragraph': return <p key={index}>{b.children.map(inline)}</p>;
    case 'rule': return <hr key={index} />;
    case 'code': return <pre key={index}>{b.text}</pre>;
    case 'quote': return <blockquote key={index}>{b.children.map(block)}</blockquote>;
    case 'list': {
      const items = b.items.map((item, i) => (
        <li key={i} class={item.done === null ? undefined : 'task'}>
          {item.done !== null && <span class="box" aria-hidden="true">{item.done ? '☑' : '☐'}</span>}
          {item.children.map(inline)}
          {item.nested.map(block)}
        </li>
      ));
      return b.ordered ? <ol key={index} start={b.start}>{items}</ol> : <ul key={index}>{items}</ul>;
    }
  }
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
